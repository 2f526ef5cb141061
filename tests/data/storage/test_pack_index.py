"""The index of packed pairs: read as written, and refused if it could read outside its shards."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jdrl_lightning import UserError
from jdrl_lightning.data.storage.pack_index import Index, Packed, Shard, Stored, read_index, write_index

IMAGES = {"blurry": Stored("uint8", (3, 4, 5), 0), "sharp": Stored("uint16", (3, 4, 5), 64)}
INDEX = Index(
    total=4,
    has_sharp=True,
    shards=[Shard("shard-00000.bin", 192, "ab"), Shard("shard-00001.bin", 256, "cd")],
    pairs=[
        Packed("a", 0, IMAGES),
        Packed("b", 1, IMAGES),
        Packed("c", 1, IMAGES | {"flow": Stored("float32", (2, 1, 1), 192)}),
    ],
)


def test_round_trip(tmp_path: Path) -> None:
    write_index(tmp_path, INDEX)
    assert read_index(tmp_path) == INDEX
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]
    assert json.loads((tmp_path / "index.json").read_text())["byteorder"] == sys.byteorder


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_size_of_an_image_is_numpys(dtype: str) -> None:
    assert Stored(dtype, (3, 7, 11), 0).size == np.zeros((3, 7, 11), dtype).nbytes


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c["shards"][0].update(file="../../etc/passwd"), "'../../etc/passwd' is not a plain file name"),
        (lambda c: c["pairs"][0]["images"].update(blurry=["uint8", [3, 10**9, 10**9], 0]), "a, blurry: outside its"),
        (lambda c: c["pairs"][0]["images"].update(blurry=["uint8", [3, 2, 2], -64]), "a, blurry: outside its shard"),
        (lambda c: c["pairs"][0]["images"].update(blurry=["uint8", [3, 2, 2], 32]), "a, blurry: outside its shard"),
        (lambda c: c["shards"][0].update(size=183), "a, sharp: outside its shard"),  # of 64 + 120 bytes
        (lambda c: c["pairs"][0]["images"].update(blurry=["object", [3, 2, 2], 0]), "a, blurry: unknown type or empty"),
        (lambda c: c["pairs"][0]["images"].update(blurry=["uint8", [3, 0, 2], 0]), "a, blurry: unknown type or empty"),
        (lambda c: c["pairs"][0]["images"].pop("sharp"), "a: not a pair"),
        (lambda c: c["pairs"][0].update(shard=9), "a: no shard 9"),
        (lambda c: c["pairs"].reverse(), "inconsistent pairs and shards"),
        (lambda c: c["pairs"].pop(0), "inconsistent pairs and shards"),  # a shard without pairs
        (lambda c: c.update(total=2), "inconsistent pairs and shards"),
        (lambda c: c.update(byteorder="middle"), "written on a middle-endian machine"),
        (lambda c: c.update(format="another"), "the format is not"),
        (lambda c: c.update(pairs=3), "not iterable"),
        (lambda c: c.pop("shards"), "'shards'"),
    ],
)
def test_an_invalid_index_is_refused(change: Callable[[Any], Any], reason: str, tmp_path: Path) -> None:
    write_index(tmp_path, INDEX)
    content = json.loads((tmp_path / "index.json").read_text())
    change(content)
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(
        UserError, match=r"index.json: is not an index of packed pairs \(.+\); pack again with"
    ) as raised:
        read_index(tmp_path)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_smallest_shard_that_fits_is_accepted(tmp_path: Path) -> None:
    write_index(tmp_path, INDEX._replace(shards=[INDEX.shards[0]._replace(size=184), INDEX.shards[1]]))
    assert read_index(tmp_path).shards[0].size == 184


@pytest.mark.parametrize("text", ["", "not json", "[]", "null", '{"format": '])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(
        UserError, match=r"index.json: is not an index of packed pairs \(.+\); pack again with overwrite"
    ):
        read_index(tmp_path)


def test_a_folder_that_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"val/index.json: no such file; create it with .*pack .*output={tmp_path}$"):
        read_index(tmp_path / "val")
