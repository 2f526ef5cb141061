"""Deblurring networks as ONNX and torch.export programs, which run without this package, compared with torch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError, check_choice, first_line
from jdrl_lightning.inference.network import check_takes_pictures, final_output

__all__ = ["FORMATS", "TOLERANCE", "Shape", "check_formats", "difference", "program", "serialized"]

TOLERANCE = 1e-4  # for images in [0, 1]: a fortieth of an 8-bit step
FORMATS = ("onnx", "pt2")


class Shape(NamedTuple):
    """A program's input, ``(batch, 3, height, width)``; with ``any_size`` or ``any_batch`` an example of it.

    Height and width are px and multiples of the network's divisor, with ``any_size`` two of them at least.
    """

    batch: int
    height: int
    width: int
    any_size: bool = False
    any_batch: bool = False


def check_formats(formats: Collection[str]) -> None:
    """Refuse formats that cannot be written here.

    Raises:
        UserError: unknown format, or ONNX's packages are missing.
    """
    for format in formats:
        check_choice("formats", format, FORMATS)
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if "onnx" in formats and missing:
        lacks = ", ".join(missing)
        raise UserError(f"formats: onnx needs {lacks}: pip install 'jdrl_lightning[export]', or give formats=[pt2]")


def program(backbone: Backbone, shape: Shape) -> torch.export.ExportedProgram:
    """The final output of ``backbone`` in eval mode: RGB in [0, 1] in and out, its own colour order and range inside.

    Raises:
        UserError: torch cannot do it for this network, or not for any size or batch; or it takes both views.
    """
    check_takes_pictures(backbone)
    backbone.eval()
    free: dict[int, object] = {0: torch.export.Dim("batch")} if shape.any_batch else {}
    if shape.any_size:
        # torch specialises a side of one multiple to "always one".
        sides = {axis: torch.export.Dim(name, min=2) for axis, name in ((2, "height"), (3, "width"))}
        free |= {axis: backbone.divisor * side for axis, side in sides.items()}
    batch = max(shape.batch, 2) if shape.any_batch else shape.batch  # torch specialises 1 to "always 1"
    example = torch.rand(batch, 3, shape.height, shape.width)
    with _refused(backbone, "torch.export", shape):
        made = torch.export.export(final_output(backbone), (example,), dynamic_shapes=(free,) if free else None)
    for node in made.graph_module.graph.nodes:
        node.meta.pop("stack_trace", None)  # it would write this machine's paths into the files
    return made


def serialized(exported: torch.export.ExportedProgram, format: str, backbone: Backbone, shape: Shape) -> bytes:
    """The file of a program: ``pt2`` for ``torch.export.load``, ``onnx`` with input ``blurry``, output ``restored``.

    Raises:
        UserError: a layer has no counterpart.
    """
    if format == "pt2":
        buffer = io.BytesIO()
        torch.export.save(exported, buffer)
        return buffer.getvalue()
    with _refused(backbone, "ONNX", shape):
        # Unoptimised: onnxscript's optimiser fails on splits of unknown size, and runtimes optimise anyway.
        made = torch.onnx.export(
            exported, (), input_names=["blurry"], output_names=["restored"], dynamo=True, optimize=False, verbose=False
        )
        assert made is not None
        written: bytes = made.model_proto.SerializeToString()
    return written


def difference(content: bytes, format: str, backbone: Backbone, shape: Shape) -> float:
    """The largest difference between a program read from ``content`` and ``backbone``, on new random images.

    With ``any_size`` or ``any_batch`` also on images of another size or number than the program was exported with.

    Raises:
        UserError: the program does not run, or differs by more than ``TOLERANCE``.
    """
    inputs = [torch.rand(shape.batch, 3, shape.height, shape.width)]
    if shape.any_size or shape.any_batch:
        more = backbone.divisor if shape.any_size else 0
        batch = shape.batch + 2 if shape.any_batch else shape.batch
        inputs.append(torch.rand(batch, 3, shape.height + 3 * more, shape.width + more))
    worst, expected = 0.0, final_output(backbone)
    with _refused(backbone, format, shape), torch.no_grad():
        run = _loaded(content, format)
        for blurry in inputs:
            worst = max(worst, float((run(blurry) - expected(blurry)).abs().max()))
    if not worst <= TOLERANCE:
        raise UserError(f"{backbone.name} as {format} differs from torch by {worst:.1e}, more than {TOLERANCE:.0e}")
    return worst


def _loaded(content: bytes, format: str) -> Callable[[Tensor], Tensor]:
    if format == "pt2":
        module = torch.export.load(io.BytesIO(content)).module()
        return lambda blurry: module(blurry)
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda blurry: torch.from_numpy(session.run(["restored"], {"blurry": blurry.numpy()})[0])


@contextmanager
def _refused(backbone: Backbone, what: str, shape: Shape) -> Iterator[None]:
    """Turn whatever torch, ONNX or its runtime raises, of many types, into one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tracing, for authors of networks
            yield
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # torch.onnx wraps the reason in pages of advice
            cause = cause.__cause__
        reason = first_line(cause).partition(" For more information")[0][:200]
        free = [f"{name}=false" for name in ("any_size", "any_batch") if getattr(shape, name)]
        remedy = f"; try {' '.join(free)}" if free else ""
        raise UserError(f"{backbone.name} cannot be made into {what} ({reason}){remedy}") from error
