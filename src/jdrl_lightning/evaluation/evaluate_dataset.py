"""Restore and measure a data set, image by image."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.progress import track
from torch import Tensor
from torchmetrics import MetricCollection

from jdrl_lightning.data.augment import collate
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.contact_sheet import Example, example, spread
from jdrl_lightning.evaluation.method_images import file_stem
from jdrl_lightning.evaluation.methods import Look, Method
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.io.image import write_image
from jdrl_lightning.metrics.protocols import Protocol, crop
from jdrl_lightning.metrics.references import PlacementError, quality
from jdrl_lightning.types import Pair, to_float, to_uint

__all__ = ["Figures", "evaluate", "look"]


class Figures(NamedTuple):
    """The results of an evaluation.

    Attributes:
        rows: two for each image, ``method`` ``input`` and ``restored``: its name and measures; None where LPIPS is
            not available.
        means: of the measures over all images, by method.
        examples: crops of some of the images.
    """

    rows: list[dict[str, Any]]
    means: dict[str, dict[str, float | None]]
    examples: list[Example]


def look(pairs: Any, protocol: Protocol) -> tuple[list[Look], str]:
    """All images' names and sizes, and a digest of their pixels: equal digests mean the same images in one order.

    Raises:
        UserError: no images, two of one name, or one that the crop leaves nothing of.
    """
    seen: dict[str, Look] = {}
    digest = sha256()
    for index in range(len(pairs)):
        pair = pairs[index]
        name = str(pair.name)
        if file_stem(name) in seen:
            raise UserError(f"two images are called {name!r}: tables and files could not tell them apart; rename one")
        for image in (pair.blurry, pair.sharp):
            digest.update(f"{name} {tuple(image.shape)} {image.dtype}".encode())
            digest.update(image.contiguous().numpy().tobytes())
        try:
            height, width = crop(pair.blurry, protocol.crop).shape[-2:]
        except ValueError as error:
            raise UserError(f"{name}: {error}; give crop=none") from error
        seen[file_stem(name)] = Look(name, height, width)
    if not seen:
        raise UserError("the data set holds no images; see data=… and split=…")
    return list(seen.values()), digest.hexdigest()


def evaluate(
    method: Method,
    pairs: Any,
    protocol: Protocol,
    flow: FlowEstimator,
    lpips_weights: Path | None,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
) -> Figures:
    """Restore every pair's blurry image and measure it, and the blurry image itself for comparison.

    Args:
        method: what restores.
        pairs: a data set of pairs; if its ``has_sharp`` is False, only the placement is measured.
        protocol: how is measured.
        flow: of ``deformed_gt``.
        lpips_weights: file of AlexNet's weights, or None.
        device: where is measured.
        folder: where the restored images are written, PNG at the input's bit depth; None: they are not.

    Raises:
        UserError: an image that is too small to be measured, or a method that returns no image of it.
    """
    has_sharp = getattr(pairs, "has_sharp", True)
    metrics: dict[str, MetricCollection] = {}
    rows: list[dict[str, Any]] = []
    examples: list[Example] = []
    shown = spread(len(pairs))
    for index in track(range(len(pairs)), description="evaluating"):
        given = pairs[index]
        pair = _batch(given, protocol.crop, device)
        name = pair.name[0]
        restored = method.restore(pair)
        if restored.shape != pair.blurry.shape or not bool(torch.isfinite(restored).all()):
            raise UserError(f"{name}: {method.title} gave no finite image of {tuple(pair.blurry.shape)}")
        if not metrics:
            known = quality(pair, protocol, flow, lpips_weights) if has_sharp else MetricCollection([PlacementError()])
            metrics = {title: known.clone().to(device) for title in ("input", "restored")}
        for title, image in (("input", pair.blurry), ("restored", restored)):
            try:
                values = metrics[title](to_float(to_uint(image)) if protocol.round else image, pair)
            except ValueError as error:
                raise UserError(f"{name} cannot be measured: {error}; leave it out") from error
            rows.append({"method": title, "name": name, **_figures(values, lpips_weights is not None)})
        if folder is not None:
            write_image(
                folder / f"{file_stem(name)}.png",
                to_uint(restored[0].cpu(), 8 if given.blurry.dtype == torch.uint8 else 16),
            )
        if index in shown:
            examples.append(example(pair, restored, has_sharp, rows[-2:]))
    means = {title: _figures(metric.compute(), lpips_weights is not None) for title, metric in metrics.items()}
    return Figures(rows, means, examples)


def _batch(pair: Pair, rule: str, device: torch.device | str) -> Pair:
    """A float batch of one, cut by the protocol's crop: networks see what they would see in the published code."""

    def cut(image: Tensor) -> Tensor:
        return crop(image.to(device), rule)

    batch = collate([pair])
    extras = {key: cut(value) for key, value in batch.extras.items()}
    return Pair(cut(batch.blurry), cut(batch.sharp), batch.name, extras).to_float()


def _figures(values: dict[str, Tensor], has_lpips: bool) -> dict[str, float | None]:
    """One value each; LPIPS has its column too, empty where it could not be measured."""
    figures: dict[str, float | None] = {}
    for key, value in values.items():
        figures[key] = float(value)
        if key.endswith("/mae") and not has_lpips:
            figures[f"{key.removesuffix('mae')}lpips"] = None
    return figures
