"""DED, whose own layout is not known: any that can be listed will do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trees
from jdrl_lightning import build


def test_folders_or_a_list(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    root = trees.same_names(tmp_path, "train/input", "train/target", ["1", "2", "3"])
    (root / "pairs.csv").write_text("blurry,sharp,split\ntrain/input/2.png,train/target/2.png,train\n")
    for more, names in (((), ["1", "2", "3"]), (("data.pairs=pairs.csv",), ["2"])):
        settings = composed(tmp_path, "data=ded", f"data.root={root}", "data.crop=8", *more)
        assert [pair.name for pair in build.datamodule(settings).pairs("train")] == names  # type: ignore[attr-defined]
