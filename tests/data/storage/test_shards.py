"""Data files of packed pairs: checked once, and read as NumPy reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jdrl_lightning.data import decode_cache
from jdrl_lightning.data.storage.pack_index import Shard, Stored
from jdrl_lightning.data.storage.shards import damage, mapped, view

CONTENT = np.random.default_rng(0).integers(0, 256, 640, dtype=np.uint8).tobytes()


@pytest.fixture
def shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shard:
    monkeypatch.setattr(decode_cache, "_KNOWN", {})
    (tmp_path / "a.bin").write_bytes(CONTENT)
    return Shard("a.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:]), "does not match its checksum"),
        (lambda path: path.write_bytes(CONTENT[:-1]), "has 639 bytes, not 640"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: (path.unlink(), path.mkdir()), "is missing"),
    ],
)
def test_damage_is_described(harm: Callable[[Path], Any], reason: str, shard: Shard, tmp_path: Path) -> None:
    assert damage(tmp_path, shard) is None
    harm(tmp_path / "a.bin")
    assert damage(tmp_path, shard) == reason


def test_the_checksum_is_verified_once_for_each_state(
    shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: read.append(given) or real(*given))
    assert [damage(tmp_path, shard) for _ in range(3)] == [None] * 3
    assert len(read) == 1
    os.utime(tmp_path / "a.bin", ns=(1, 1))
    assert damage(tmp_path, shard) is None
    assert len(read) == 2


def test_a_damaged_shard_is_verified_again(shard: Shard, tmp_path: Path) -> None:
    wrong = shard._replace(sha256="0" * 64)
    assert [damage(tmp_path, wrong) for _ in range(2)] == ["does not match its checksum"] * 2


@pytest.mark.parametrize(("dtype", "offset"), [("uint8", 0), ("uint16", 64), ("float32", 128)])
def test_images_are_views_of_the_file_that_never_change_it(
    dtype: str, offset: int, shard: Shard, tmp_path: Path
) -> None:
    whole = mapped(tmp_path, shard)
    image = view(whole, Stored(dtype, (3, 5, 7), offset))
    expected = np.frombuffer(CONTENT, dtype, count=105, offset=offset).reshape(3, 5, 7)
    np.testing.assert_array_equal(image.numpy(), expected)
    assert image.untyped_storage().data_ptr() == whole.data_ptr()
    image.view(torch.uint8).fill_(0)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
