"""Checks for parts of your own: a backbone, a flow estimator, an objective; ``AssertionError`` says what is wrong.

    from jdrl_lightning.testing import assert_is_backbone
    assert_is_backbone(my_backbone)

All work on copies and leave torch's random numbers as they were. Every part that comes with the package passes them.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.data.precomputed_flow import unmoved
from jdrl_lightning.errors import and_more
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import magnitude
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["assert_is_backbone", "assert_is_flow", "assert_is_objective"]

SIZES = ((37, 45), (64, 48))  # px; no network's divisor fits the first
FLOW_SIZE = (133, 161)
SHIFT = (3, -2)  # (dx, dy), px
BACKBONE = "the backbone"
STILL_PX, SHIFT_PX = 0.1, 0.5  # what an accurate estimator may miss by


def assert_is_backbone(backbone: nn.Module) -> None:
    """Check a deblurring network.

    It takes RGB ``(B, 3, H, W)`` of any size and returns :class:`Restored` with images of the same shape and type,
    finite, in eval mode within [0, 1] and the same each time; in training the same for the same seed. Gradient reaches
    the input from the final output, every trained parameter from the outputs and the losses of its auxiliary heads
    together, and every parameter of these heads from their losses: DDP stops otherwise. It says its ``divisor`` and the
    ``licence`` of its weights, and can be copied, as averaging weights does.

    Raises:
        AssertionError: says what is wrong.
    """
    _require(isinstance(backbone, nn.Module), f"{type(backbone).__name__} is no torch.nn.Module")
    divisor, licence = getattr(backbone, "divisor", None), getattr(backbone, "licence", None)
    _require(isinstance(divisor, int) and divisor >= 1, f"divisor={divisor!r} is no number of pixels: tiles need one")
    _require(isinstance(licence, str) and licence, f"licence={licence!r} does not say the terms of its weights")
    network: nn.Module = _copy(backbone)
    with torch.random.fork_rng():
        for size in SIZES:
            beyond = 1.5 * _texture(*size, like=network) - 0.25  # so that an output in [0, 1] is no accident
            with torch.no_grad():
                first, second = (_restored(network.eval(), beyond) for _ in range(2))
            final = first.images[0]
            if getattr(backbone, "clamp_eval", True):
                worst = f"{float(final.min()):.2f} to {float(final.max()):.2f}"
                _require(bool(((final >= 0) & (final <= 1)).all()), f"in eval mode the output runs from {worst}")
            _require(torch.equal(final, second.images[0]), "in eval mode two calls on one image differ")
        blurry = (1.5 * _texture(*SIZES[0], like=network) - 0.25).requires_grad_()
        outputs = []
        for _ in range(2):
            torch.manual_seed(0)
            outputs.append(_restored(network.train(), blurry))
        same = torch.equal(outputs[0].images[0], outputs[1].images[0])
        _require(same, "in training two calls with the same torch seed differ: a resumed run would too")
        cut = sum(int((image == bound).sum()) for image in outputs[0].images for bound in (0, 1))
        _require(
            cut < 0.01 * blurry.numel(), "in training the output is clamped to [0, 1]: no gradient comes from beyond"
        )
        (gradient,) = torch.autograd.grad(_blend(outputs[0].images[0]), blurry, retain_graph=True, allow_unused=True)
        _require(_useful(gradient), "no gradient reaches the input from the final output")
        total = sum((_blend(image) for image in outputs[0].images), start=blurry.new_zeros(()))
        make_heads: Any = getattr(network, "auxiliary", None)
        heads = make_heads() if make_heads else None
        if heads is not None:
            pair = Pair(blurry.detach(), blurry.detach(), ["first", "second"], {})
            extra = heads(network, outputs[0], pair)
            scalars = all(loss.ndim == 0 and bool(loss.isfinite()) for loss in extra.values())
            _require(extra and scalars, f"the auxiliary heads give {extra}, not finite scalars by name")
            losses = sum(extra.values(), start=blurry.new_zeros(()))
            idle = _idle(heads, losses)
            _require(not idle, f"no loss of the auxiliary heads depends on their {and_more(idle)}: DDP stops there")
            total = total + losses
        idle = _idle(network, total)
        _require(not idle, f"no output depends on the trained {and_more(idle)}: DDP stops there; remove or freeze them")


def assert_is_flow(estimator: FlowEstimator, accurate: bool = True) -> None:
    """Check a flow estimator.

    It returns ``(B, 2, H, W)``, finite, float32 (float64 of float64 images), without gradient even where the images
    have one, the same each time and without touching torch's random numbers or the images; a copy of it is itself. One
    that ``uses_truth`` is never called.

    Args:
        estimator: see :class:`FlowEstimator`.
        accurate: check also that equal images do not move, and that ``warp(second, flow) ≈ first`` has the right sign;
            False for a network with random weights.

    Raises:
        AssertionError: says what is wrong.
    """
    _require(
        not isinstance(estimator, nn.Module), "an estimator that is a torch.nn.Module gets into checkpoints and DDP"
    )
    _require(deepcopy(estimator) is estimator, "a copy of the estimator is not itself: averaged weights would hold two")
    for name, kind in (("uses_truth", bool), ("licence", str)):
        value = getattr(estimator, name, None)
        _require(isinstance(value, kind), f"{name}={value!r} must be a {kind.__name__}")
    if estimator.uses_truth:
        return
    (height, width), (dx, dy) = FLOW_SIZE, SHIFT
    with torch.random.fork_rng():
        scene = _texture(height + 16, width + 16)
    first = scene[..., 8 + dy : 8 + dy + height, 8 + dx : 8 + dx + width].contiguous()
    second = scene[..., 8 : 8 + height, 8 : 8 + width].contiguous()  # first[p] = second[p + (dx, dy)]
    before, state = (first.clone(), second.clone()), torch.get_rng_state()
    with torch.enable_grad():
        flow = estimator(first.requires_grad_(), second.requires_grad_())
    _require(torch.equal(first, before[0]) and torch.equal(second, before[1]), "the call changes its images")
    _require(torch.equal(state, torch.get_rng_state()), "the call moves torch's random numbers: resuming is not exact")
    _require(isinstance(flow, Tensor), f"the flow is a {type(flow).__name__}, not a tensor")
    _require(flow.shape == (2, 2, height, width), f"flow {tuple(flow.shape)} of images {tuple(first.shape)}")
    _require(flow.dtype == torch.float32, f"flow in {flow.dtype} of float32 images")
    _require(not flow.requires_grad, "the flow has a gradient: the objective counts on a frozen estimator")
    _require(bool(flow.isfinite().all()), "the flow is not finite everywhere")
    _require(torch.equal(flow, estimator(first, second)), "two calls on the same images differ")
    double = estimator(first.detach()[:1].double(), second.detach()[:1].double())
    _require(double.dtype == torch.float64, f"flow in {double.dtype} of float64 images")
    if accurate:
        still = float(magnitude(estimator(second, second)).median())
        _require(still < STILL_PX, f"equal images move by {still:.2f} px")
        found = [float(part.median()) for part in flow[..., 16:-16, 16:-16].unbind(1)]
        close = all(abs(one - true) < SHIFT_PX for one, true in zip(found, SHIFT, strict=True))
        told = f"({found[0]:.2f}, {found[1]:.2f}) px"
        _require(close, f"{told} found for first[p] = second[p + ({dx}, {dy})]: warp(second, flow) must give first")


def assert_is_objective(objective: nn.Module) -> None:
    """Check an objective, stage by stage.

    Each stage returns :class:`Losses` with exactly the terms that it weighs, their weighted sum as a finite total, and
    detached maps; the same each time. Gradient reaches the restored image in some stage, and in none that freezes the
    backbone. ``find_unused_parameters`` is true exactly if some stage leaves a trained part without gradient.

    Raises:
        AssertionError: says what is wrong.
    """
    _require(isinstance(objective, nn.Module), f"{type(objective).__name__} is no torch.nn.Module")
    schedule: Any = getattr(objective, "schedule", None)
    _require(isinstance(schedule, Schedule), f"schedule={schedule!r} is no Schedule")
    copy: nn.Module = _copy(objective).train()
    with torch.random.fork_rng():
        pair = _pair(like=copy)
        if getattr(copy, "picture_flow", None) is not None:
            pair = unmoved(pair)
        unused = {stage.name: _unused(copy, pair, stage) for stage in schedule.stages}
    reached = any(BACKBONE not in parts for parts in unused.values())
    _require(reached, "no stage's gradient reaches the restored image")
    declared: Any = getattr(objective, "find_unused_parameters", None)
    idle = {name: and_more(parts) for name, parts in unused.items() if parts}
    told = "; ".join(f"stage {name!r} leaves {parts} without gradient" for name, parts in idle.items())
    _require(
        declared is bool(idle), f"find_unused_parameters is {declared}, but {told or 'every stage trains everything'}"
    )


def _unused(objective: nn.Module, pair: Pair, stage: Stage) -> list[str]:
    """Run a stage forward and backward; the trained parts that got no gradient."""
    where = f"stage {stage.name!r}"
    image = (1.1 * pair.extras["aligned"] - 0.05).requires_grad_()
    coarse = (0.9 * pair.extras["aligned"]).requires_grad_()
    totals = []
    for _ in range(2):
        torch.manual_seed(0)
        losses = objective(Restored((image, coarse), {}), pair, stage)
        _require(isinstance(losses, Losses), f"{where}: a {type(losses).__name__} instead of Losses")
        totals.append(losses.total)
    total, terms, maps = losses
    _require(total.ndim == 0 and bool(total.isfinite()), f"{where}: the total is no finite number")
    _require(torch.equal(totals[0], totals[1]), f"{where}: two calls on the same images differ")
    weighed, given = sorted(stage.weights), sorted(terms)
    _require(weighed == given, f"{where} weighs the terms {weighed}, but gets {given}")
    expected = sum(weight * float(terms[name].detach()) for name, weight in stage.weights.items())
    close = abs(float(total.detach()) - expected) <= 1e-4 * max(1.0, abs(expected))
    _require(
        close, f"{where}: the total {float(total.detach()):.4g} is not the weighted sum {expected:.4g} of its terms"
    )
    for name, shown in maps.items():
        size = f"{tuple(shown.shape)} of images {tuple(image.shape)}"
        _require(not shown.requires_grad, f"{where}: the map {name!r} keeps the graph alive: detach it")
        _require(
            len(shown) == len(image) and shown.shape[-2:] == image.shape[-2:], f"{where}: the map {name!r} is {size}"
        )
    _require(total.requires_grad, f"{where} trains nothing: its total has no gradient")
    objective.zero_grad(set_to_none=True)
    total.backward()
    reached = _useful(image.grad)
    if "backbone" in stage.frozen:
        _require(not reached, f"{where} freezes the backbone, but gradient reaches the restored image: detach it")
    unused = [name for name, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    return unused if reached else [BACKBONE, *unused]


def _restored(network: nn.Module, blurry: Tensor) -> Restored:
    """The network's output, its form checked."""
    height, width = blurry.shape[-2:]
    try:
        output = network(blurry)
    except Exception as error:
        raise AssertionError(f"it fails on images of {width}×{height} px: {error}") from error
    _require(isinstance(output, Restored), f"it returns a {type(output).__name__} instead of Restored(images, aux)")
    _require(isinstance(output.images, tuple) and len(output.images) > 0, "images must be a tuple, final output first")
    for image in output.images:
        shapes = f"{tuple(image.shape)} {image.dtype} of {tuple(blurry.shape)} {blurry.dtype}"
        _require(image.shape == blurry.shape and image.dtype == blurry.dtype, f"an output is {shapes}")
        _require(bool(image.isfinite().all()), "an output is not finite everywhere")
    return output


def _texture(height: int, width: int, like: nn.Module | None = None) -> Tensor:
    """Two smooth random pictures in [0, 1] with detail at all scales, ``(2, 3, height, width)``."""
    generator, picture = torch.Generator().manual_seed(0), torch.zeros(2, 3, height, width)
    for scale in (3, 6, 12, 24):
        noise = torch.rand(2, 3, height // scale + 2, width // scale + 2, generator=generator)
        picture += F.interpolate(noise, (height, width), mode="bicubic", align_corners=True) * scale**0.5
    low, high = picture.amin(dim=(1, 2, 3), keepdim=True), picture.amax(dim=(1, 2, 3), keepdim=True)
    parameter = next(like.parameters(), None) if like is not None else None
    return ((picture - low) / (high - low)).to("cpu" if parameter is None else parameter.device)


def _pair(like: nn.Module) -> Pair:
    """A blurry picture, the sharp one a pixel off, and the truth."""
    height, width = 41, 53
    scene = _texture(height, width + 1, like)
    aligned, sharp = scene[..., 1:].contiguous(), scene[..., :-1].contiguous()  # aligned[p] = sharp[p + (1, 0)]
    blurry = F.avg_pool2d(F.pad(aligned, (2, 2, 2, 2), mode="replicate"), 5, 1)
    flow = torch.zeros_like(aligned[:, :2])
    flow[:, 0] = 1
    truth = {"aligned": aligned, "flow": flow, "coc": torch.full_like(flow[:, :1], 2.5)}
    return Pair(blurry, sharp, ["first", "second"], truth)


def _copy(part: nn.Module) -> nn.Module:
    try:
        return deepcopy(part)
    except Exception as error:
        raise AssertionError(
            f"{type(part).__name__} cannot be copied, which averaging weights does: {error}"
        ) from error


def _blend(image: Tensor) -> Tensor:
    """A scalar to which every pixel counts differently."""
    return (image * torch.linspace(-1, 1, image.numel(), dtype=image.dtype, device=image.device).view_as(image)).sum()


def _idle(part: nn.Module, total: Tensor) -> list[str]:
    """The trained parameters of ``part`` that ``total`` does not depend on."""
    parameters = {name: p for name, p in part.named_parameters() if p.requires_grad}
    if not parameters:
        return []
    gradients = torch.autograd.grad(total, list(parameters.values()), retain_graph=True, allow_unused=True)
    return [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]


def _useful(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.isfinite().all()) and bool((gradient != 0).any())


def _require(condition: Any, message: str) -> None:
    """``assert`` that ``python -O`` keeps."""
    if not condition:
        raise AssertionError(message)
