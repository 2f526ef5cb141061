"""The contract of a flow estimator."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import magnitude
from jdrl_lightning.testing.shared import require, texture

__all__ = ["assert_is_flow"]

SIZE = (133, 161)
SHIFT = (3, -2)  # (dx, dy), px
STILL_PX, SHIFT_PX = 0.1, 0.5  # allowed errors of an accurate estimator


def assert_is_flow(estimator: FlowEstimator, accurate: bool = True) -> None:
    """Check a flow estimator.

    It returns finite flow ``(B, 2, H, W)`` in float32 (float64 for float64 images), without a gradient even if the
    images have one, deterministic, and without changing torch's random state or the images. A deep copy of it is the
    same object. An estimator that ``uses_truth`` is never called.

    Args:
        estimator: see :class:`FlowEstimator`.
        accurate: check also that equal images give no motion, and that ``warp(second, flow) ≈ first`` has the right
            sign; False for a network with random weights.

    Raises:
        AssertionError: the first violation found.
    """
    require(
        not isinstance(estimator, nn.Module), "the estimator is a torch.nn.Module: checkpoints and DDP would include it"
    )
    require(deepcopy(estimator) is estimator, "a deep copy of the estimator is another object: averaging would copy it")
    for name, kind in (("uses_truth", bool), ("licence", str)):
        value = getattr(estimator, name, None)
        require(isinstance(value, kind), f"{name}={value!r} must be a {kind.__name__}")
    if estimator.uses_truth:
        return
    first, second = _shifted_images()
    flow = _check_flow(estimator, first, second)
    if accurate:
        _check_accuracy(estimator, second, flow)


def _shifted_images() -> tuple[Tensor, Tensor]:
    """Two images with ``first[p] = second[p + SHIFT]``."""
    (height, width), (dx, dy) = SIZE, SHIFT
    with torch.random.fork_rng():
        scene = texture(height + 16, width + 16)
    first = scene[..., 8 + dy : 8 + dy + height, 8 + dx : 8 + dx + width].contiguous()
    return first, scene[..., 8 : 8 + height, 8 : 8 + width].contiguous()


def _check_flow(estimator: FlowEstimator, first: Tensor, second: Tensor) -> Tensor:
    """Type, shape, determinism and side effects; returns the flow."""
    before, state = (first.clone(), second.clone()), torch.get_rng_state()
    with torch.enable_grad():
        flow = estimator(first.requires_grad_(), second.requires_grad_())
    require(torch.equal(first, before[0]) and torch.equal(second, before[1]), "the call changes its images")
    require(torch.equal(state, torch.get_rng_state()), "the call changes torch's random state: resuming is not exact")
    require(isinstance(flow, Tensor), f"the flow is a {type(flow).__name__}, not a tensor")
    require(flow.shape == (2, 2, *SIZE), f"flow {tuple(flow.shape)} for images {tuple(first.shape)}")
    require(flow.dtype == torch.float32, f"flow in {flow.dtype} for float32 images")
    require(not flow.requires_grad, "the flow has a gradient: the objective requires a frozen estimator")
    require(bool(flow.isfinite().all()), "the flow is not finite everywhere")
    require(torch.equal(flow, estimator(first, second)), "two calls on the same images differ")
    double = estimator(first.detach()[:1].double(), second.detach()[:1].double())
    require(double.dtype == torch.float64, f"flow in {double.dtype} for float64 images")
    return flow


def _check_accuracy(estimator: FlowEstimator, image: Tensor, flow: Tensor) -> None:
    """No motion between equal images, and the known shift in ``flow``."""
    still = float(magnitude(estimator(image, image)).median())
    require(still < STILL_PX, f"equal images give a flow of {still:.2f} px")
    found = [float(part.median()) for part in flow[..., 16:-16, 16:-16].unbind(1)]
    close = all(abs(estimate - true) < SHIFT_PX for estimate, true in zip(found, SHIFT, strict=True))
    estimate = f"({found[0]:.2f}, {found[1]:.2f}) px"
    require(close, f"{estimate} found for first[p] = second[p + {SHIFT}]: warp(second, flow) must give first")
