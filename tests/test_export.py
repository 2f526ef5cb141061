"""Exported programs: the same as torch, whole or not there, nothing overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jdrl_lightning import UserError
from jdrl_lightning.build import from_checkpoint
from jdrl_lightning.export import export
from jdrl_lightning.inference import export_formats
from jdrl_lightning.inference.export_formats import Shape
from processes import forked, fresh
from small import drawn

FORMATS = ["onnx", "pt2"]
EXPORT = ("-m", "jdrl_lightning.export")


def onnx_runs(file: Path, blurry: Tensor) -> Tensor:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(file.read_bytes())
    return torch.from_numpy(session.run(None, {"blurry": blurry.numpy()})[0])


def test_what_is_written_restores_other_sizes_like_torch(tmp_path: Path) -> None:
    backbone, blurry = drawn("unet"), torch.rand(3, 3, 48, 80)
    worst = export(backbone, tmp_path / "out", FORMATS, Shape(1, 60, 60, any_size=True, any_batch=True), False)
    assert max(worst.values()) < 1e-5
    with torch.no_grad():
        expected = backbone(blurry).images[0]
    torch.testing.assert_close(onnx_runs(tmp_path / "out" / "unet.onnx", blurry), expected, atol=1e-5, rtol=0)
    loaded = torch.export.load(tmp_path / "out" / "unet.pt2").module()
    torch.testing.assert_close(loaded(blurry), expected)
    for format in FORMATS:
        about = json.loads((tmp_path / "out" / f"unet.{format}.json").read_text())
        assert about["input"]["shape"] == ["batch", 3, "16*height", "16*width"]
        assert about["largest_difference_from_torch"] == worst[format]
        assert (
            str(Path(export_formats.__file__).parent).encode() not in (tmp_path / "out" / f"unet.{format}").read_bytes()
        )


def test_a_program_for_any_size_takes_two_multiples_a_side(tmp_path: Path) -> None:
    backbone, blurry = drawn("unet"), torch.rand(1, 3, 32, 64)
    export(backbone, tmp_path, ["pt2"], Shape(1, 16, 16, any_size=True), False)
    assert json.loads((tmp_path / "unet.pt2.json").read_text())["sides_at_least_px"] == 32
    loaded = torch.export.load(tmp_path / "unet.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(loaded(blurry), backbone(blurry).images[0])


def test_sides_are_raised_to_what_the_network_needs(tmp_path: Path) -> None:
    backbone = drawn("nafnet")
    export(backbone, tmp_path, ["pt2"], Shape(2, 50, 64), False)
    assert json.loads((tmp_path / "nafnet.pt2.json").read_text())["input"]["shape"] == [2, 3, 64, 64]
    assert torch.export.load(tmp_path / "nafnet.pt2").module()(torch.rand(2, 3, 64, 64)).shape == (2, 3, 64, 64)


def test_a_program_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_formats, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="unet as pt2 differs from torch by"):
        export(drawn("unet"), tmp_path / "out", ["pt2"], Shape(1, 32, 32), False)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_without_overwrite(tmp_path: Path) -> None:
    backbone, shape = drawn("unet"), Shape(1, 32, 32)
    (tmp_path / "unet.pt2").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"unet\.pt2: exists; .* overwrite=true"):
        export(backbone, tmp_path, ["pt2"], shape, False)
    assert (tmp_path / "unet.pt2").read_bytes() == b"mine"
    export(backbone, tmp_path, ["pt2"], shape, True)
    assert (tmp_path / "unet.pt2").read_bytes() != b"mine"


def test_the_command(train: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = train(tmp_path / "run", "trainer.max_epochs=1") / "checkpoints" / "last.ckpt"
    done = fresh(tmp_path, *EXPORT, f"ckpt_path={checkpoint}", "output=exported", "size=[64,64]", "formats=[pt2]")
    assert done.returncode == 0, done.stderr
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = from_checkpoint(checkpoint)(blurry)
    torch.testing.assert_close(torch.export.load(tmp_path / "exported" / "unet.pt2").module()(blurry), expected)
    for arguments, words in (
        ([], "error: give either ckpt_path=<checkpoint> or backbone=<name>"),
        (["backbone=unet"], "error: give backbone.weights=<file>: without it unet is untrained"),
        ([f"ckpt_path={checkpoint}", "size=64"], "error: size=64 batch=1: give size="),
    ):
        refused = forked(tmp_path, *EXPORT, *arguments)
        assert refused.returncode == 1
        assert refused.stderr.strip().splitlines()[-1].startswith(words)
        assert "Traceback" not in refused.stderr
