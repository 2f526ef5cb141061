"""Few pairs are read once, many as often as they are asked for."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import Dataset

from jdrl_lightning.data import kept_pairs
from jdrl_lightning.data.kept_pairs import KeptPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair


class Read(Dataset[Pair]):
    """Three pairs of 600 bytes, of which the last cannot be read, and how often each was read."""

    def __init__(self) -> None:
        self.reads = [0, 0, 0]

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Pair:
        self.reads[index] += 1
        if index == 2:
            raise UserError("cannot be read")
        image = torch.full((3, 10, 10), index, dtype=torch.uint8)
        return Pair(image, image.clone(), str(index), {})


@pytest.mark.parametrize(("largest", "reads"), [(1800, [1, 1, 4]), (1799, [4, 4, 4])])
def test_pairs_are_kept_if_all_fit(largest: int, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pairs, "LARGEST_BYTES", largest)
    read = Read()
    kept = KeptPairs(read)
    assert len(kept) == 3
    for _ in range(4):
        assert [int(kept[index].blurry.max()) for index in range(2)] == [0, 1]
        with pytest.raises(UserError, match="cannot be read"):
            kept[2]
    assert read.reads == reads
