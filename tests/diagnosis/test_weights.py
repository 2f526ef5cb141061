"""Settings of weight files are found, and the files described."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from jdrl_lightning.diagnosis import weights


def test_weight_files(tmp_path: Path) -> None:
    config = {"backbone": {"weights": None, "encoder_weights": "a", "width": 3}, "flow": {"net": {"path": "b"}}}
    expected = [("backbone.weights", None), ("backbone.encoder_weights", "a"), ("flow.net.path", "b")]
    assert list(weights.settings(config)) == expected
    assert list(weights.settings({"objective": {"schedule": [{"weights": {"align": 1.0}}]}})) == []
    file = tmp_path / "w.pth"
    file.write_bytes(b"abc" * 10**6)
    assert weights.described(file) == (str(file), "3,000,000", sha256(file.read_bytes()).hexdigest())
    assert weights.described(tmp_path / "absent")[0].startswith("missing: ")
