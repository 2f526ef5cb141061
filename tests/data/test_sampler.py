from __future__ import annotations

import torch

from jdrl_lightning.data.sampler import STAND_IN, BatchPlan, Evened, RankShare
from jdrl_lightning.types import Pair


def test_every_crop_once_per_epoch_in_a_new_order() -> None:
    epoch = 0
    plan = BatchPlan(5, 2, seed=1, repeat=4, position=lambda: (epoch, 0))
    first = [key for batch in plan for key in batch]
    assert sorted(first) == [(0, item) for item in range(20)]
    epoch = 1
    second = [key for batch in plan for key in batch]
    assert sorted(second) == [(1, item) for item in range(20)]
    assert [i for _, i in first] != [i for _, i in second]


def test_resuming_in_the_middle_of_an_epoch() -> None:
    whole = list(BatchPlan(7, 2, seed=3, repeat=2, position=lambda: (4, 0)))
    rest = list(BatchPlan(7, 2, seed=3, repeat=2, position=lambda: (4, 5)))
    assert rest == whole[5:]
    assert len(whole) == 7


def test_two_ranks_with_half_the_batch_see_the_same_as_one() -> None:
    one = list(BatchPlan(12, 4, seed=0))
    ranks = [list(BatchPlan(12, 2, seed=0, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*ranks, strict=True)] == one


def test_rank_shares_cover_each_index_once() -> None:
    shares = [list(RankShare(5, rank, 2)) for rank in (0, 1)]
    assert shares == [[0, 2, 4], [1, 3]]
    assert [len(RankShare(5, rank, 2)) for rank in (0, 1)] == [3, 2]


def test_stand_ins_give_all_ranks_equally_many() -> None:
    image = torch.zeros(3, 2, 2)
    for size, world, length in ((5, 2, 6), (1, 3, 3), (4, 2, 4), (3, 1, 3)):
        pairs = [Pair(image + index, image, str(index), {}) for index in range(size)]
        evened = Evened(pairs, world)  # type: ignore[arg-type]
        shares = [[evened[index] for index in RankShare(len(evened), rank, world)] for rank in range(world)]
        assert {len(share) for share in shares} == {length // world}
        names = sorted(pair.name for share in shares for pair in share)
        assert names == [STAND_IN] * (length - size) + [str(index) for index in range(size)]
        assert all(pair.name != STAND_IN for pair in shares[0])
