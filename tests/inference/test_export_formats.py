"""Exported programs compute what torch does; what cannot be exported is reported in one line."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.inference import export_formats
from jdrl_lightning.inference.export_formats import Shape, check_formats, difference, program, serialized
from small import drawn


def test_a_network_that_splits_images_is_exported_for_any_size() -> None:
    backbone, shape = drawn("dmphn"), Shape(1, 64, 64, any_size=True)
    content = serialized(program(backbone, shape), "onnx", backbone, shape)
    assert difference(content, "onnx", backbone, shape) < 1e-5


def test_an_unsupported_network_is_reported_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^mprnet cannot be made into torch\.export .*; try any_batch=false$") as error:
        program(drawn("mprnet"), Shape(1, 64, 64, any_batch=True))
    assert "\n" not in str(error.value)


def test_a_program_without_free_axes_is_the_network() -> None:
    backbone, shape = drawn("unet"), Shape(1, 32, 32)
    exported = program(backbone, shape)
    blurry = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(blurry), backbone(blurry).images[0])
    assert not any("stack_trace" in node.meta for node in exported.graph_module.graph.nodes)
    content = serialized(exported, "pt2", backbone, shape)
    assert difference(content, "pt2", backbone, shape) < 1e-5
    with torch.no_grad():
        backbone.network.out[0].bias += 0.1
    with pytest.raises(UserError, match=r"unet as pt2 differs from torch by \d\.\de-0\d, more than 1e-04"):
        difference(content, "pt2", backbone, shape)
    with pytest.raises(UserError, match=r"^unet cannot be made into pt2 \(.+\)$"):
        difference(content[:100], "pt2", backbone, shape)


def test_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"'onyx' is not one of onnx, pt2"):
        check_formats(["onyx"])
    monkeypatch.setattr(export_formats, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(UserError, match=r"needs onnxscript: pip install 'jdrl_lightning\[export\]'"):
        check_formats(["pt2", "onnx"])
    check_formats(["pt2"])
