from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backbones.published_iniknet import BASES, WIDTH, loaded, published
from jdrl_lightning import backbones
from jdrl_lightning.backbones import load_weights
from jdrl_lightning.errors import UserError


def test_files_of_several_gpus_and_wrapped_ones_load(tmp_path: Path) -> None:
    state = published()
    expected = loaded(state, tmp_path / "w.pth").state_dict()
    wrapped = {"state_dict": {f"module.{name}": value for name, value in state.items()}}
    for name, value in loaded(wrapped, tmp_path / "wrapped.pth").state_dict().items():  # type: ignore[arg-type]
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"sum.bias": None}, "1 missing: colours.bias"),
        (
            {"inr_conv.kernelINR_list.1.layers.0.bias": None},
            "1 missing: kernels.first.bias; 2 unexpected: inr_conv.kern",
        ),
        ({"inr_conv.kernelINR_list.1.layers.0.bias": torch.zeros(3)}, "1 missing: kernels.first.bias; 3 unexpected"),
        (
            {"inr_conv.kernelINR_list.3.layers.0.bias": torch.zeros(64)},
            "1 unexpected: inr_conv.kernelINR_list.3.layers",
        ),
        ({"unet.up1.main.0.weight": torch.zeros(2, 2)}, r"features.up.0.weight \(2×2 in the file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(damage: dict[str, Tensor | None], message: str, tmp_path: Path) -> None:
    state = {name: value for name, value in (published() | damage).items() if value is not None}
    with pytest.raises(UserError, match=message) as error:
        loaded(state, tmp_path / "w.pth")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.pth do not exist: check the path"):
        load_weights(backbones.create("iniknet", width=WIDTH, bases=BASES), tmp_path / "absent.pth")


def test_our_own_weights_load(tmp_path: Path) -> None:
    source, target = (backbones.create("iniknet", width=WIDTH, bases=BASES) for _ in range(2))
    torch.save(source.network.state_dict(), tmp_path / "w.pth")
    assert load_weights(target, tmp_path / "w.pth").layout == "bare"
    assert torch.equal(target.network.kernels.frequency, source.network.kernels.frequency)
