"""Frames that are others in each epoch."""

from __future__ import annotations

from multiprocessing import active_children
from types import SimpleNamespace

import pytest
import torch

from jdrl_lightning import UserError, data
from jdrl_lightning.data.datamodule import PairDataModule
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.fresh import FreshPairs
from jdrl_lightning.data.synthetic.photographs import dead_leaves
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.types import Pair


def rendered() -> RenderedPairs:
    return RenderedPairs(dead_leaves("val", 0, size=96)[:2], seed=0, frames_per_photo=2, frame=40)


def equal(first: Pair, second: Pair) -> bool:
    pairs = [(first.blurry, second.blurry), (first.sharp, second.sharp)]
    pairs += [(first.extras[key], second.extras[key]) for key in ("aligned", "flow", "coc")]
    return first.name == second.name and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_a_frame_is_a_pure_function_of_seed_epoch_and_index(processes: int) -> None:
    """In order, as a training asks; and from the middle, as a resumed one does."""
    expected = rendered()
    others = set(active_children())
    in_order, resumed = FreshPairs(rendered()), FreshPairs(rendered())
    in_order.processes = resumed.processes = processes
    for epoch in range(3):
        for index in (3, 0, 1, 2, 0):
            assert equal(in_order.at(epoch, index), expected.render(index, epoch))
    for epoch in (2, 3, 1):
        assert equal(resumed.at(epoch, 1), expected.render(1, epoch))
    assert equal(resumed[3], expected[3])
    assert len(set(active_children()) - others) == 2 * processes
    in_order.stop()
    resumed.stop()
    assert set(active_children()) <= others


def test_epochs_share_no_frame_and_the_first_has_the_usual_ones() -> None:
    pairs = FreshPairs(rendered())
    seen = [pairs.at(epoch, index).blurry for epoch in range(2) for index in range(4)]
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
    assert len(pairs) == 4
    with pytest.raises(IndexError):
        pairs.at(0, 4)


def test_training_crops_come_from_their_epochs_frames() -> None:
    module = PairDataModule(lambda split: FreshPairs(rendered()), crop=40, batch_size=2, num_workers=1)
    loader = module.train_dataloader()
    assert loader.num_workers == 0  # the process renders
    ours, expected = module.crops(), rendered()
    for epoch, item in ((0, 1), (1, 6)):
        frame = expected.render(item % 4, epoch)
        assert ours[epoch, item].blurry.double().sum() == frame.blurry.double().sum()  # the whole frame, turned
        assert ours[epoch, item].name == frame.name
    module.teardown("fit")


def test_what_new_frames_do_not_go_with() -> None:
    fixed = PairDataModule(lambda split: FreshPairs(rendered()), crop=16, augment=False)
    with pytest.raises(UserError, match=r"data\.augment=false"):
        fixed.train_dataloader()
    with pytest.raises(UserError, match=r"objective\.flow_of=crop"):
        fixed.measure(GaussNewton(), torch.device("cpu"))
    with pytest.raises(UserError, match=r"data\.register=none"):
        data.create("leaves", split="train", seed=0, crop=16, fresh=True, register="affine")


def test_only_training_frames_are_new_in_each_epoch() -> None:
    settings = {"seed": 0, "crop": 16, "frame": 24, "fresh": True}
    assert isinstance(data.create("leaves", split="train", **settings), FreshPairs)
    assert isinstance(data.create("leaves", split="val", **settings), RenderedPairs)


def test_the_gpu_that_trains_renders_unless_processes_do() -> None:
    """Without a GPU only that it is asked to, and that a device's context changes nothing, can be tried."""
    for workers, expected in ((0, "cuda"), (1, "cpu")):
        module = PairDataModule(lambda split: FreshPairs(rendered()), crop=40, batch_size=2, num_workers=workers)
        strategy = SimpleNamespace(root_device=torch.device("cuda"))
        module.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)
        module.train_dataloader()
        assert module.pairs("train").rendered.device.type == expected
    with torch.device("cpu"):
        assert equal(rendered().render(1), rendered().render(1))
