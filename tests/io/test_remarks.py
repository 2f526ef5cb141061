"""A remark is made once in a process, and not by loader workers."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from jdrl_lightning.io import remarks
from jdrl_lightning.io.remarks import remark


def test_once_for_each_file_and_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            remark(tmp_path / "a", "is large")
            remark(tmp_path / "b", "is large")
            remark(tmp_path / "a", "is old")
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/a: is large", f"{tmp_path}/b: is large", f"{tmp_path}/a: is old",
    ]  # fmt: skip


def test_not_in_a_loader_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remarks, "get_worker_info", object)
    remark(tmp_path / "a", "is large")
    assert not caplog.records
