"""Weights of the reblurring network: published and own layouts, and files that do not match."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.objectives import create
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.reblur.weights import load_reblur_weights

SMALL = {"levels": 3, "width": 4}


def foreign(network: ReblurNet, order: tuple[str, ...] = ("kpn", "wpn"), prefix: str = "module.") -> dict[str, Tensor]:
    """The same tensors under other names, branch after branch."""
    state = network.state_dict()
    return {
        f"{prefix}branch_{len(name)}{i}_{order.index(name)}.{j}": value
        for i, name in enumerate(order)
        for j, value in enumerate(v for k, v in state.items() if k.startswith(name))
    }


def same(one: ReblurNet, other: ReblurNet) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("order", [("kpn", "wpn"), ("wpn", "kpn")])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_the_published_layout_is_matched_by_shapes(order: tuple[str, ...], prefix: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = ReblurNet(**SMALL), ReblurNet(**SMALL)
    checkpoint = {"G_state_dict": {}, "Reblur_state_dict": foreign(source, order, prefix), "epoch": 3}
    torch.save(checkpoint, tmp_path / "jdrl.pth")
    assert not same(source, target)
    load_reblur_weights(target, tmp_path / "jdrl.pth")
    assert same(source, target)


def test_branches_of_the_published_size_are_identified(tmp_path: Path) -> None:
    source, target = ReblurNet(), ReblurNet()
    assert sum(p.numel() for p in source.parameters()) == 474_987
    torch.save({"Reblur_state_dict": foreign(source, ("wpn", "kpn"))}, tmp_path / "jdrl.pth")
    load_reblur_weights(target, tmp_path / "jdrl.pth")
    assert same(source, target)


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": {f"objective.reblur.{k}": v for k, v in s.items()}}]
)
def test_own_layouts(wrap, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source, target = ReblurNet(**SMALL), ReblurNet(**SMALL)
    torch.save(wrap(source.state_dict()), tmp_path / "ours.ckpt")
    load_reblur_weights(target, tmp_path / "ours.ckpt")
    assert same(source, target)


def test_an_objective_loads_them(tmp_path: Path) -> None:
    source = ReblurNet(**SMALL)
    torch.save({"Reblur_state_dict": foreign(source)}, tmp_path / "jdrl.pth")
    settings = SMALL | {"weights": str(tmp_path / "jdrl.pth")}
    built = create("jdrl", flow={"name": "gauss_newton"}, reblur=settings)
    assert same(source, built.reblur)


def test_what_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    target = ReblurNet(**SMALL)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    whole = foreign(ReblurNet(**SMALL))
    keys = list(whole)
    interleaved = {k: whole[k] for pair in zip(keys[:16], keys[16:], strict=True) for k in pair}
    for name, state in {
        "wider": foreign(ReblurNet(levels=3, width=8)),
        "one branch": dict(list(whole.items())[:16]),
        "interleaved": interleaved,
        "more": whole | {"extra": torch.zeros(3)},
        "own names, other size": ReblurNet(levels=4, width=4).state_dict(),
    }.items():
        torch.save({"Reblur_state_dict": state}, tmp_path / "wrong.pth")
        with pytest.raises(UserError, match=r"wrong\.pth do not fit"):
            load_reblur_weights(target, tmp_path / "wrong.pth")
        assert all(torch.equal(before[k], v) for k, v in target.state_dict().items()), name


def test_a_file_without_weights(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"none\.pth hold no state dict"):
        load_reblur_weights(ReblurNet(**SMALL), tmp_path / "none.pth")
    with pytest.raises(UserError, match="do not exist"):
        load_reblur_weights(ReblurNet(**SMALL), tmp_path / "absent.pth")
