"""Opening a published data set from a small tree of files, and the message if that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning import UserError, data


def create(name: str, root: Path, split: str = "test", **settings: Any) -> Any:
    return data.create(name, **{"split": split, "seed": 0, "crop": 8, "root": root, **settings})


def error_message(name: str, root: Path, split: str = "test", **settings: Any) -> str:
    with pytest.raises(UserError) as raised:
        create(name, root, split, **settings)
    line = str(raised.value)
    assert "\n" not in line
    return line
