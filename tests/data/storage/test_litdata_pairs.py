"""Pairs in litdata chunks: exact, writable, and nothing that could run code is read."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.storage import litdata_pairs
from jdrl_lightning.data.storage.litdata_pairs import StreamedPairs, stream
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair


class Drawn(Dataset[Pair]):
    """Pairs of different sizes and types, with a dual-pixel view."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng(index)
        dtype, top = ((torch.uint8, 256), (torch.uint16, 65536))[index % 2]
        shape = (3, 20 + index, 33 - index)
        blurry, sharp, left = (
            torch.from_numpy(rng.integers(0, top, shape)).to(torch.int32).to(dtype) for _ in range(3)
        )
        return Pair(blurry, sharp, "x" * (index + 1), {"left": left})


def same(one: Pair, other: Pair) -> bool:
    return one.name == other.name and all(
        a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip((*one[:2], one.extras["left"]), (*other[:2], other.extras["left"]), strict=True)
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    pytest.importorskip("litdata")
    assert stream(Drawn(), tmp_path / "train", chunk_bytes=20_000) == 6
    return tmp_path


def test_round_trip_in_any_order(written: Path) -> None:
    found = StreamedPairs(written, "train")
    assert len(found) == 6
    assert found.has_sharp
    assert len(list((written / "train").glob("chunk-*.bin"))) > 2
    kept = [found[index] for index in (4, 0, 5, 1, 3, 2, -1, 4)]
    assert all(same(pair, Drawn()[index]) for pair, index in zip(kept, (4, 0, 5, 1, 3, 2, 5, 4), strict=True))
    with pytest.raises(IndexError):
        found[6]


def test_writing_into_a_tensor_changes_only_that_tensor(written: Path) -> None:
    found = StreamedPairs(written, "train")
    found[1].blurry.view(torch.uint8).fill_(0)
    assert same(found[1], Drawn()[1])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_open_their_own_reader(method: str, written: Path) -> None:
    found = StreamedPairs(str(written), "train")
    assert found[0].name == "x"
    assert len(pickle.dumps(found)) < 500
    loader = DataLoader(found, batch_size=1, collate_fn=collate, num_workers=1, multiprocessing_context=method)
    for index, batch in enumerate(loader):
        assert torch.equal(batch.sharp[0], Drawn()[index].sharp)


def test_images_without_partners_are_stored_once(tmp_path: Path) -> None:
    pytest.importorskip("litdata")

    class Alone(Drawn):
        has_sharp = False

    stream(Alone(), tmp_path / "test")
    found = StreamedPairs(tmp_path, "test")
    assert not found.has_sharp
    assert torch.equal(found[1].sharp, Drawn()[1].blurry)


def test_a_complete_folder_needs_overwrite_and_an_incomplete_one_does_not(written: Path) -> None:
    with pytest.raises(UserError, match=r"train/index.json: exists; .*overwrite=true"):
        stream(Drawn(), written / "train")
    stream(Drawn(), written / "train", overwrite=True)
    assert [path.name for path in (written / "train").glob("*.bin")] == ["chunk-0-0.bin"]
    (written / "train" / "index.json").unlink()
    (written / "train" / "chunk-0-7.bin").write_bytes(b"incomplete")
    stream(Drawn(), written / "train")
    assert [path.name for path in (written / "train").glob("*.bin")] == ["chunk-0-0.bin"]
    assert same(StreamedPairs(written, "train")[5], Drawn()[5])


def test_missing_and_truncated_files_are_named(written: Path) -> None:
    with pytest.raises(UserError, match=r"val/index.json: no such file; create it with .*store=litdata"):
        StreamedPairs(written, "val")
    chunk = written / "train" / "chunk-0-1.bin"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"chunk-0-1.bin: has \d+ bytes, not \d+"):
        StreamedPairs(written, "train")


def test_pickled_items_are_not_read(written: Path) -> None:
    index = written / "train" / "index.json"
    content = json.loads(index.read_text())
    content["config"]["data_format"][0] = "pickle"
    index.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"refused: has entries that prepare pack never writes \(pickle\)"):
        StreamedPairs(written, "train")


@pytest.mark.parametrize(
    ("config", "chunks", "message"),
    [
        ({"data_format": ["tensor", "str"]}, [{"filename": "chunk-0-0.bin"}], None),
        ({"data_format": ["tensor", "numpy", "no_header_tensor:1"]}, [], "numpy, no_header_tensor:1"),
        ({"data_format": ["tensor"], "compression": "zstd"}, [], "compression"),
        ({"data_format": ["tensor"], "encryption": {"algorithm": "fernet"}}, [], "encryption"),
        ({"data_format": ["tensor"]}, [{"filename": "../elsewhere.bin"}], "elsewhere"),
        ({"data_format": None}, [], "not a litdata index"),
    ],
)
def test_the_index_is_checked(config: dict[str, Any], chunks: list[Any], message: str | None, tmp_path: Path) -> None:
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"config": config, "chunks": chunks}))
    if message is None:
        assert litdata_pairs._check_index(index, "there") == chunks
    else:
        with pytest.raises(UserError, match=f"^there.*{message}"):
            litdata_pairs._check_index(index, "there")


def test_without_litdata_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "litdata", None)
    monkeypatch.setitem(sys.modules, "litdata.streaming.writer", None)
    for call in (lambda: StreamedPairs(tmp_path, "train"), lambda: stream(Drawn(), tmp_path / "train")):
        with pytest.raises(UserError, match=r"pip install 'jdrl_lightning\[litdata\]'"):
            call()
    assert list(tmp_path.iterdir()) == []
