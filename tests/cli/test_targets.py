"""Only what is defined in an allowed module is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from jdrl_lightning import UserError
from jdrl_lightning.cli.targets import TRUSTED, TRUSTED_TRAINING, check_targets, instantiate

COSINE = {"_target_": "jdrl_lightning.rates.Cosine", "epochs": 4}
ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.5}


@pytest.mark.parametrize("wrap", [dict, OmegaConf.create])
def test_allowed_targets_are_built(wrap: Any) -> None:
    assert instantiate(wrap(COSINE))(2) == pytest.approx(0.5)
    optimizer = instantiate(wrap(ADAM))([torch.zeros(1, requires_grad=True)])
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["lr"] == 0.5


def test_callbacks_and_loggers_are_for_trainings_only() -> None:
    config = {"_target_": "lightning.pytorch.callbacks.RichProgressBar"}
    assert type(instantiate(config, TRUSTED_TRAINING)).__name__ == "RichProgressBar"
    with pytest.raises(UserError, match=r"RichProgressBar' is refused; allowed: jdrl_lightning\.rates\.\*, torch"):
        instantiate(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_target_": "os.mkdir", "path": "{made}"}, r"_target_ 'os\.mkdir' is refused"),
        ({"_target_": "jdrl_lightning.rates.math.exp", "_args_": [1]}, "is refused"),
        ({"_target_": "torch.optim.no_such"}, r"_target_ 'torch\.optim\.no_such' does not exist"),
        (COSINE | {"deep": [1, {"_target_": "os.mkdir", "path": "{made}"}]}, r"'os\.mkdir' is refused"),
        ([COSINE, ({"_target_": "os.mkdir", "path": "{made}"},)], r"'os\.mkdir' is refused"),
        ({"_target_": ["os.mkdir"]}, "is refused"),
        (COSINE | {"floor": "${oc.env:HOME}"}, r"floor='\$\{oc\.env:HOME\}' is refused: an interpolation"),
    ],
)
def test_everything_else_is_refused(config: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for check in (check_targets, instantiate):
        with pytest.raises(UserError, match=message) as error:
            check(config)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_prefix_is_not_enough() -> None:
    """``math.exp`` is reached through our own module but is not defined there."""
    with pytest.raises(UserError, match="refused"):
        check_targets({"_target_": "jdrl_lightning.rates.math.exp"}, ("jdrl_lightning.rates.",))
    with pytest.raises(UserError, match="refused"):
        check_targets({"_target_": "torch.optimize.x"}, TRUSTED)


def test_a_user_error_of_what_is_called_passes_and_others_are_hydras() -> None:
    with pytest.raises(UserError, match=r"^epochs=0: this schedule needs the number of epochs"):
        instantiate(COSINE | {"epochs": 0})
    with pytest.raises(InstantiationException, match="no_such_setting"):
        instantiate(COSINE | {"no_such_setting": 1})


def test_without_targets_nothing_is_called() -> None:
    values = {"a": [1, {"b": None}], "c": "text"}
    check_targets(values)
    assert instantiate(values) == values
