"""Flow of whole images that is cropped with them, against a scene that is known between the pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from jdrl_lightning import UserError
from jdrl_lightning.data.augment import augment, crop
from jdrl_lightning.data.datamodule import PairDataModule
from jdrl_lightning.data.flow_store import FlowStore
from jdrl_lightning.data.precomputed_flow import WithFlow
from jdrl_lightning.flow import create
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.flow.warp import invert, warp
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.types import Pair

HEIGHT, WIDTH = 61, 83  # not multiples of the factor by which stored flow is reduced
CPU = torch.device("cpu")


def motion() -> tuple[Tensor, Tensor]:
    """A zoom of 2 %, a shift and a wave of 57 px length, ``(1, 2, H, W)``; and the reverse."""
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    wave = 0.4 * torch.sin(2 * torch.pi * (x + y) / 80)
    there = torch.stack([0.02 * (x - 40) + 2 + wave, 0.02 * (y - 30) - 1.5 - wave])[None]
    return there, invert(there)


class Known(FlowEstimator):
    """Recognises the blurry image by its first pixel."""

    def __init__(self) -> None:
        self.asked = 0

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.asked += 1
        return motion()[int(first[0, 0, 0, 0] == 1)]


class Scenes(Dataset[Pair]):
    """Three pairs; the second cannot be read the first ``failures`` times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Pair:
        if index == 1 and self.failures:
            self.failures -= 1
            raise UserError("b.png: broken")
        y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
        sharp = torch.stack([0.5 + 0.3 * torch.sin(x / 7 + c) * torch.cos(y / 8 - c) for c in range(3)])
        blurry = warp(sharp[None], motion()[0], mode="bicubic")[0]
        sharp[0, 0, 0], blurry[0, 0, 0] = 1, 0
        sharp[0, 0, 1] = index / 10  # no two are the same
        return Pair(blurry, sharp, "abc"[index], {"coc": torch.zeros(1, HEIGHT, WIDTH)})


def test_every_pair_carries_its_flow_both_ways() -> None:
    steps: list[tuple[int, int]] = []
    estimator = Known()
    pairs = WithFlow(Scenes(), estimator, CPU, progress=lambda done, total: steps.append((done, total)))
    assert (len(pairs), steps, estimator.asked) == (3, [(1, 3), (2, 3), (3, 3)], 6)
    pair = crop(pairs[2], 0, 0, HEIGHT, WIDTH)
    assert pair.name == "c"
    assert pair.extras.keys() == {"coc", "there", "back"}
    for key, flow in zip(("there", "back"), motion(), strict=True):
        assert pair.extras[key].shape == (2, HEIGHT, WIDTH)
        assert (pair.extras[key] - flow[0])[:, 4:-4, 4:-4].abs().max() < 0.04
        assert (pair.extras[key] - flow[0]).abs().max() < 0.15
    assert estimator.asked == 6
    assert pairs.flows.nbytes == 3 * 16 * 21 * 4 * 2


def test_the_blurry_image_is_restored_once_before_its_flow_is_measured() -> None:
    class Seen(Known):
        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            seen.append((first, second))
            return super().estimate(first, second)

    seen: list[tuple[Tensor, Tensor]] = []
    restored: list[Tensor] = []

    def restore(blurry: Tensor) -> Tensor:
        restored.append(blurry)
        return 2 * blurry

    WithFlow(Scenes(), Seen(), CPU, restore=restore)
    assert len(restored) == 3
    for index, blurry in enumerate(restored):
        pair = Scenes()[index]
        assert torch.equal(blurry, pair.blurry)
        (there, _), (_, back) = seen[2 * index : 2 * index + 2]
        assert torch.equal(there[0], (2 * blurry).clamp(0, 1))
        assert torch.equal(back, there)
        assert all(torch.equal(sharp[0], pair.sharp) for sharp in (seen[2 * index][1], seen[2 * index + 1][0]))


def test_the_blur_is_measured_with_the_flow_and_kept_with_it(tmp_path: Path) -> None:
    asked: list[str] = []

    def radius(pair: Pair, there: Tensor, back: Tensor) -> Tensor:
        asked.append(pair.name[0])
        assert pair.blurry.shape == (1, 3, HEIGHT, WIDTH)
        assert pair.extras["coc"].shape == (1, 1, HEIGHT, WIDTH)
        assert torch.equal(there, motion()[0])
        assert torch.equal(back, motion()[1])
        return torch.full_like(there[:, :1], 3.25)

    for _ in range(2):
        store = FlowStore(tmp_path, Known(), "and its blur")
        pairs = WithFlow(Scenes(), Known(), CPU, store=store, radius=radius)
        cut = augment(pairs[1], 48, seed=0, epoch=0, index=0)
        assert cut.extras.keys() == {"coc", "there", "back", "radius"}
        assert (cut.extras["radius"] == 3.25).all()
    assert asked == ["a", "b", "c"]
    assert WithFlow(Scenes(), Known(), CPU, store=FlowStore(tmp_path, Known()))[0].extras.keys() == {
        "coc",
        "there",
        "back",
    }


@pytest.mark.parametrize("index", range(8))
def test_the_blur_is_cut_and_turned_with_the_image(index: int) -> None:
    class Slanted(Scenes):
        def __getitem__(self, index: int) -> Pair:
            pair = super().__getitem__(index)
            y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
            return pair._replace(extras={"coc": (x + 2 * y)[None] / 20})

    pairs = WithFlow(Slanted(), Known(), CPU, radius=lambda pair, there, back: pair.extras["coc"])
    extras = augment(pairs[0], 48, seed=0, epoch=0, index=index).extras
    error, flipped = (
        (radius - extras["coc"])[:, 2:-2, 2:-2].abs().max() for radius in (extras["radius"], extras["radius"].flip(-1))
    )
    assert error < 0.1  # the sides are no multiples of what it is reduced by
    assert flipped > 1


def test_what_is_kept_is_cut_as_if_it_had_been_enlarged_first() -> None:
    kept = WithFlow(Scenes(), Known(), CPU)[0]
    full = interpolate(kept.extras["there"][None], (HEIGHT, WIDTH), mode="bilinear")[0]
    for top, left, height, width in ((0, 0, HEIGHT, WIDTH), (7, 30, 20, 40), (60, 82, 1, 1)):
        cut = crop(kept, top, left, height, width).extras["there"]
        torch.testing.assert_close(cut, full[:, top : top + height, left : left + width], atol=1e-5, rtol=0)


def test_long_flow_keeps_its_hundredths() -> None:
    class Far(Known):
        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            return torch.full_like(first[:, :2], 20.37)

    assert (WithFlow(Scenes(), Far(), CPU)[0].extras["back"] - 20.37).abs().max() < 0.01


@pytest.mark.parametrize("index", range(8))
def test_crops_are_cut_and_turned_with_their_flow(index: int) -> None:
    pairs = WithFlow(Scenes(), Known(), CPU)
    cut = augment(pairs[0], 48, seed=0, epoch=0, index=index)
    for moved, key, placed in ((cut.sharp, "there", cut.blurry), (cut.blurry, "back", cut.sharp)):
        before = (moved - placed)[:, 8:-8, 8:-8].abs().max()
        after = (warp(moved[None], cut.extras[key][None])[0] - placed)[:, 8:-8, 8:-8].abs().max()
        assert before > 0.05
        assert after < 0.01


def test_a_pair_that_cannot_be_read_stops_or_is_left_for_another_to_replace() -> None:
    with pytest.raises(UserError, match=r"broken; data\.on_error=skip trains without it"):
        WithFlow(Scenes(failures=1), Known(), CPU)
    reported: list[int] = []
    pairs = WithFlow(Scenes(failures=1), Known(), CPU, skip=True, progress=lambda done, total: reported.append(done))
    assert reported == [1, 2, 3]
    with pytest.raises(UserError, match="broken"):
        pairs[1]
    assert pairs[2].name == "c"
    data = PairDataModule(lambda split: Scenes(failures=1), crop=32, on_error="skip")
    data.measure(Known(), CPU)
    names = {batch.name[0] for batch in data.train_dataloader()}
    assert names == {"a", "c"}
    assert data.skipped() == 1


def test_a_warm_up_measures_each_pair_once(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[int, ...]] = []
    call = GaussNewton.__call__

    def counted(self: GaussNewton, first: Tensor, second: Tensor, start: Tensor | None = None) -> Tensor:
        asked.append(tuple(first.shape))
        return call(self, first, second, start)

    monkeypatch.setattr(GaussNewton, "__call__", counted)
    settings: tuple[Any, ...] = ("objective.flow_of=picture", "trainer.max_epochs=3", "objective.warmup_epochs=2")
    train(tmp_path / "run", *settings)
    assert asked[:16] == [(1, 3, 48, 40)] * 16  # eight pairs, both ways
    crops = [shape for shape in asked if shape[-1] == 32]
    assert crops == [(4, 3, 32, 32)] * 8  # the last epoch's steps, of the output


@pytest.mark.parametrize(("flow_of", "times"), [("picture", 0), ("restored", 8)])
def test_the_shipped_network_restores_each_pair_once(
    flow_of: str, times: int, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    restored: list[Tensor] = []
    restore = Restorer.restore

    def counted(self: Restorer, picture: Tensor) -> Any:
        restored.append(picture)
        return restore(self, picture)

    monkeypatch.setattr(Restorer, "restore", counted)
    settings = ("objective=jdrl_robust", "trainer.max_epochs=1", "objective.warmup_epochs=1")
    run = train(tmp_path / "run", *settings, f"objective.flow_of={flow_of}")
    assert (len(restored), len(list((run / "flow").iterdir()))) == (times, 8)


@pytest.mark.parametrize("objective", ["jdrl", "jdrl_robust"])
def test_pictures_of_the_validation_are_drawn_too(objective: str, train: Callable[..., Path], tmp_path: Path) -> None:
    settings = (f"objective={objective}", "objective.flow_of=picture", "callbacks.panels.every_n_epochs=1")
    run = train(tmp_path / "run", *settings, "trainer.max_epochs=2", "objective.warmup_epochs=1")
    assert len(list((run / "panels").iterdir())) == 4


def test_memory_that_is_used_up_by_whole_pictures_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Known, first: Tensor, second: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Known, "estimate", full)
    with pytest.raises(UserError, match="flow_of=crop"):
        PairDataModule(lambda split: Scenes(), crop=32).measure(Known(), CPU)


def test_what_has_been_measured_is_read_again_and_shared(tmp_path: Path) -> None:
    first, second = Known(), Known()
    before = WithFlow(Scenes(), first, CPU, store=FlowStore(tmp_path, first), share=(1, 3))
    assert first.asked == 6
    after = WithFlow(Scenes(), second, CPU, store=FlowStore(tmp_path, second))
    assert second.asked == 0
    torch.testing.assert_close(after.flows, before.flows, atol=0, rtol=0)
    torch.testing.assert_close(before.flows, WithFlow(Scenes(), Known(), CPU).flows, atol=0, rtol=0)


def test_other_pictures_another_estimator_and_damaged_files_are_measured_again(tmp_path: Path) -> None:
    pair = Scenes()[0]
    store = FlowStore(tmp_path, Known())
    assert store.read(pair) is None
    store.write(pair, torch.ones(4, 2, 3))
    assert torch.equal(store.read(pair), torch.ones(4, 2, 3))  # type: ignore[arg-type]
    assert store.read(pair._replace(extras={"valid": torch.zeros(1, HEIGHT, WIDTH)})) is None
    assert store.read(pair._replace(sharp=pair.sharp + 1e-6)) is None
    assert FlowStore(tmp_path, GaussNewton()).read(pair) is None
    assert FlowStore(tmp_path, create("gauss_newton", dense=False)).read(pair) is None
    assert FlowStore(tmp_path, Known(), "a network").read(pair) is None
    for file in tmp_path.iterdir():
        file.write_bytes(b"damaged")
    assert store.read(pair) is None
