"""What names a model, and what is a file; tests/test_models_travel.py fetches."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrl_lightning.io.hub import is_hub, model_file, on_hub


def test_names_and_files_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "here").mkdir(parents=True)
    assert on_hub("owner/name") == "hf:owner/name"
    assert on_hub("owner/name@v1.0") == "hf:owner/name@v1.0"
    for other in ("owner/here", "runs/best.ckpt", "owner/model.safetensors", "name", "a/b/c", "/a/b", "hf:owner/name"):
        assert on_hub(other) == other
    assert on_hub(Path("owner/name")) == Path("owner/name")
    assert is_hub("hf:owner/name")
    assert not is_hub("owner/name")
    assert not is_hub(None)


def test_a_folder_with_weights_is_their_file(tmp_path: Path) -> None:
    assert model_file(tmp_path) == tmp_path
    (tmp_path / "model.safetensors").touch()
    assert model_file(tmp_path) == tmp_path / "model.safetensors"
    assert model_file(tmp_path / "model.safetensors") == tmp_path / "model.safetensors"
