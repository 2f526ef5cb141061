"""Packed pairs: exact, without copies, resumed after a kill, and refused when damaged."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from jdrl_lightning.data import decode_cache
from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.datamodule import TrainingCrops
from jdrl_lightning.data.storage.pack import PackedPairs, pack
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair


class Drawn(Dataset[Pair]):
    """Pairs of different sizes, types and extras; ``read`` lists the indices that were read."""

    def __init__(self, count: int = 7, extras: tuple[str, ...] = ("left", "right"), die_at: int | None = None) -> None:
        self.count, self.extras, self.die_at = count, extras, die_at
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        if index == self.die_at:
            os._exit(9)
        self.read.append(index)
        rng = np.random.default_rng(index)
        dtype, top = ((torch.uint8, 256), (torch.uint16, 65536))[index % 2]
        shape = (3, 20 + index, 33 - index)
        images = [torch.from_numpy(rng.integers(0, top, shape).astype(np.int32)).to(dtype) for _ in range(4)]
        return Pair(images[0], images[1], f"pair {index}", dict(zip(self.extras, images[2:], strict=False)))


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test with an empty cache of verified files."""
    monkeypatch.setattr(decode_cache, "_KNOWN", {})


def same(one: Pair, other: Pair) -> bool:
    return (
        one.name == other.name
        and one.extras.keys() == other.extras.keys()
        and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one[:2], other[:2], strict=True))
        and all(torch.equal(one.extras[key], other.extras[key]) for key in one.extras)
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_round_trip(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    pack(Drawn(), tmp_path / "train", shard_bytes=20_000, progress=lambda *step: steps.append(step))
    assert steps == [(done, 7) for done in range(1, 8)]
    found, given = PackedPairs(tmp_path, "train"), Drawn()
    assert len(found) == 7
    assert len(found.index.shards) > 2
    assert found.has_sharp
    assert all(same(found[index], given[index]) for index in range(7))
    assert found[-1].name == "pair 6"
    assert {found[index].blurry.dtype for index in range(7)} == {torch.uint8, torch.uint16}
    with pytest.raises(IndexError):
        found[7]


def test_extras_keep_their_type_or_are_refused(tmp_path: Path) -> None:
    class Rendered(Drawn):
        kind = torch.float32

        def __getitem__(self, index: int) -> Pair:
            return super().__getitem__(index)._replace(extras={"flow": torch.randn(2, 9, 9).to(self.kind)})

    pack(Rendered(2), tmp_path / "val")
    assert PackedPairs(tmp_path, "val")[1].extras["flow"].dtype == torch.float32
    Rendered.kind = torch.float64
    with pytest.raises(UserError, match=r"pair 0, flow: torch.float64 cannot be packed, only uint8, uint16, float32"):
        pack(Rendered(2), tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["index.json"]


def test_images_without_partners_are_stored_once(tmp_path: Path) -> None:
    class Alone(Drawn):
        has_sharp = False

        def __getitem__(self, index: int) -> Pair:
            pair = super().__getitem__(index)
            return pair._replace(sharp=pair.blurry)

    pack(Alone(2, extras=()), tmp_path / "test")
    found = PackedPairs(tmp_path, "test")
    assert not found.has_sharp
    assert torch.equal(found[1].sharp, found[1].blurry)
    # Two images in multiples of 64 bytes: 3·20·33 of 1 byte, 3·21·32 of 2.
    assert found.index.shards[0].size == 1984 + 4032


def test_tensors_are_views_that_never_change_the_file(tmp_path: Path) -> None:
    pack(Drawn(), tmp_path / "train")
    found = PackedPairs(tmp_path, "train")
    first, again = found[3], found[3]
    assert first.blurry.data_ptr() == again.blurry.data_ptr()
    assert first.blurry.untyped_storage().nbytes() == found.index.shards[0].size
    before = contents(tmp_path / "train")
    first.blurry.view(torch.uint8).fill_(0)
    assert contents(tmp_path / "train") == before
    assert same(PackedPairs(tmp_path, "train")[3], Drawn()[3])


def test_crops_match_those_of_the_unpacked_pairs(tmp_path: Path) -> None:
    pack(Drawn(), tmp_path / "train", shard_bytes=20_000)
    packed, given = (TrainingCrops(pairs, 16, seed=5) for pairs in (PackedPairs(tmp_path, "train"), Drawn()))
    for item in range(21):
        assert same(packed[2, item], given[2, item])
    assert packed[2, 0].blurry.untyped_storage().nbytes() < 20_000


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_open_their_own_mappings(method: str, tmp_path: Path) -> None:
    pack(Drawn(), tmp_path / "train", shard_bytes=20_000)
    found = PackedPairs(tmp_path, "train")
    assert found[0].name == "pair 0"  # a mapping is open
    assert len(pickle.dumps(found)) < 5000
    loader = DataLoader(found, batch_size=1, collate_fn=collate, num_workers=1, multiprocessing_context=method)
    for index, batch in enumerate(loader):
        assert same(Pair(batch.blurry[0], batch.sharp[0], batch.name[0], {k: v[0] for k, v in batch.extras.items()}),
                    Drawn()[index])  # fmt: skip


def test_after_a_kill_whole_shards_are_kept_and_packing_resumes(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "train"
    pack(Drawn(), whole, shard_bytes=20_000)
    killed = multiprocessing.get_context("fork").Process(target=pack, args=(Drawn(die_at=5), folder, 20_000))
    killed.start()
    killed.join()
    assert killed.exitcode == 9
    assert list(folder.glob(".*.tmp")), "the kill must be in the middle of a shard"
    with pytest.raises(UserError, match=r"train: \d of 7 pairs are packed; run the same prepare pack again"):
        PackedPairs(tmp_path, "train")

    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.bin")}
    assert len(before) == 2
    resumed = Drawn()
    pack(resumed, folder, shard_bytes=20_000)
    done = PackedPairs(tmp_path, "train").index.pairs
    kept = [index for index, packed in enumerate(done) if packed.shard < 2]
    ends = {index for index in kept if index in (0, kept[-1]) or done[index].shard != done[index - 1].shard
            or done[index].shard != done[index + 1].shard}  # fmt: skip
    assert set(resumed.read) == ends | set(range(kept[-1] + 1, 7))
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == before
    assert contents(folder) == contents(whole)


def test_packing_again_changes_nothing(tmp_path: Path) -> None:
    pack(Drawn(), tmp_path, shard_bytes=20_000)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.bin")}
    pack(Drawn(), tmp_path, shard_bytes=20_000)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.bin")} == before


def test_other_pairs_are_refused_without_overwrite(tmp_path: Path) -> None:
    class Brighter(Drawn):
        def __getitem__(self, index: int) -> Pair:
            pair = super().__getitem__(index)
            return pair._replace(sharp=pair.blurry)

    pack(Drawn(), tmp_path, shard_bytes=20_000)
    before = contents(tmp_path)
    for others, difference in ((Drawn(6), "7 pairs, not 6"), (Brighter(), "pair 0 differs")):
        with pytest.raises(UserError, match=f"other pairs are packed here .{difference}.; .* overwrite=true"):
            pack(others, tmp_path, shard_bytes=20_000)
        assert contents(tmp_path) == before
    pack(Drawn(2), tmp_path, overwrite=True)
    assert sorted(contents(tmp_path)) == ["index.json", "shard-00000.bin"]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "does not match its checksum"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), r"has \d+ bytes, not \d+"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_a_damaged_shard_is_named_and_repaired(
    damage: Callable[[Path], Any], message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "train"
    pack(Drawn(), folder, shard_bytes=20_000)
    before = contents(folder)
    PackedPairs(tmp_path, "train")  # verified once, which must not hide later damage
    damage(folder / "shard-00001.bin")
    with pytest.raises(UserError, match=f"shard-00001.bin: {message}; run the same prepare pack again") as raised:
        PackedPairs(tmp_path, "train")
    assert "\n" not in str(raised.value)
    pack(Drawn(), folder, shard_bytes=20_000)
    assert "shard-00001.bin" in caplog.text
    assert contents(folder) == before
