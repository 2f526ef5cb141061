"""Methods by name, and which of them the given settings select."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation import methods
from jdrl_lightning.evaluation.methods import Method, chosen, of_blurry
from jdrl_lightning.types import Pair

NOTHING: dict[str, Any] = {"method": None, "ckpt_path": None, "restored": None}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"ckpt_path": "x"}, "checkpoint"),
        ({"backbone": {"name": "unet"}}, "weights"),
        ({"restored": "x"}, "folder"),
        ({"method": "identity"}, "identity"),
        ({"method": "theirs"}, "theirs"),
    ],
)
def test_what_is_given_implies_the_method(given: dict[str, Any], name: str) -> None:
    assert chosen(NOTHING | given) == name


def test_one_entry_registers_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods._registry._targets, "brighter", f"{__name__}:brighter")
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(brighter=brighter))
    method = methods.create("brighter", {"by": 0.125}, torch.device("cpu"))
    blurry, sharp = torch.rand(2, 1, 3, 4, 5)
    torch.testing.assert_close(method.restore(Pair(blurry, sharp, ["a"], {})), blurry + 0.125)
    with pytest.raises(UserError, match=r"unknown method 'dimmer'; known: checkpoint, .*identity.*brighter"):
        methods.create("dimmer", {}, torch.device("cpu"))


def brighter(config: dict[str, Any], device: torch.device) -> Method:
    return Method("brighter", of_blurry(lambda blurry: blurry + config["by"]))
