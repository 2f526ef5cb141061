"""The contract of a backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from jdrl_lightning.errors import and_more
from jdrl_lightning.testing.shared import copy, has_gradient, require, texture
from jdrl_lightning.types import Pair, Restored

__all__ = ["assert_is_backbone"]

SIZES = ((37, 45), (64, 48))  # px; the first is no multiple of any network's divisor


def assert_is_backbone(backbone: nn.Module) -> None:
    """Check a deblurring network.

    It takes RGB ``(B, 3, H, W)`` of any size and returns :class:`Restored` with finite images of the same shape and
    type. In eval mode they are in [0, 1] and deterministic; in training they are reproducible with the same seed. The
    final output has a gradient with respect to the input; each trained parameter gets a gradient from the outputs
    or the losses of the auxiliary heads, and each parameter of these from their losses, since DDP fails otherwise. It
    has a ``divisor`` and the ``licence`` of its weights, and can be deep-copied, which weight averaging needs.

    Raises:
        AssertionError: the first violation found.
    """
    require(isinstance(backbone, nn.Module), f"{type(backbone).__name__} is not a torch.nn.Module")
    divisor, licence = getattr(backbone, "divisor", None), getattr(backbone, "licence", None)
    require(isinstance(divisor, int) and divisor >= 1, f"divisor={divisor!r} is not a number of pixels, as tiles need")
    require(isinstance(licence, str) and licence, f"licence={licence!r} does not give the licence of the weights")
    network: nn.Module = copy(backbone)
    with torch.random.fork_rng():
        for size in SIZES:
            _check_eval(network, size, clamped=getattr(backbone, "clamp_eval", True))
        blurry = _beyond_range(*SIZES[0], like=network).requires_grad_()
        output = _check_training(network, blurry)
        _check_gradients(network, output, blurry, _check_heads(network, output, blurry))


def _check_eval(network: nn.Module, size: tuple[int, int], clamped: bool) -> None:
    """Finite, in range and deterministic in eval mode."""
    blurry = _beyond_range(*size, like=network)  # so that an unclamped output would leave [0, 1]
    with torch.no_grad():
        first, second = (_restored(network.eval(), blurry) for _ in range(2))
    final = first.images[0]
    if clamped:
        found = f"{float(final.min()):.2f} to {float(final.max()):.2f}"
        require(bool(((final >= 0) & (final <= 1)).all()), f"in eval mode the output ranges from {found}")
    require(torch.equal(final, second.images[0]), "in eval mode two calls on the same image differ")


def _check_training(network: nn.Module, blurry: Tensor) -> Restored:
    """Reproducible and unclamped in training mode; returns the output, with its graph."""
    outputs = []
    for _ in range(2):
        torch.manual_seed(0)
        outputs.append(_restored(network.train(), blurry))
    same = torch.equal(outputs[0].images[0], outputs[1].images[0])
    require(same, "in training two calls with the same torch seed differ: resuming would not be exact")
    at_bounds = sum(int((image == bound).sum()) for image in outputs[0].images for bound in (0, 1))
    require(
        at_bounds < 0.01 * blurry.numel(), "in training the output is clamped to [0, 1], which has no gradient outside"
    )
    return outputs[0]


def _check_gradients(network: nn.Module, output: Restored, blurry: Tensor, head_loss: Tensor) -> None:
    """The input and every trained parameter get a gradient."""
    (gradient,) = torch.autograd.grad(_blend(output.images[0]), blurry, retain_graph=True, allow_unused=True)
    require(has_gradient(gradient), "the final output gives no gradient to the input")
    total = sum((_blend(image) for image in output.images), start=head_loss)
    unused = _unused_parameters(network, total)
    require(not unused, f"no output depends on the trained {and_more(unused)}: DDP fails; remove or freeze them")


def _check_heads(network: nn.Module, output: Restored, blurry: Tensor) -> Tensor:
    """The auxiliary heads, if any, return finite scalars that depend on all of their parameters; returns their sum."""
    make_heads: Any = getattr(network, "auxiliary", None)
    heads = make_heads() if make_heads else None
    if heads is None:
        return blurry.new_zeros(())
    losses = heads(network, output, Pair(blurry.detach(), blurry.detach(), ["first", "second"], {}))
    scalars = all(loss.ndim == 0 and bool(loss.isfinite()) for loss in losses.values())
    require(losses and scalars, f"the auxiliary heads return {losses}, not finite scalars by name")
    total: Tensor = sum(losses.values(), start=blurry.new_zeros(()))
    unused = _unused_parameters(heads, total)
    require(not unused, f"no loss of the auxiliary heads depends on their {and_more(unused)}: DDP fails")
    return total


def _restored(network: nn.Module, blurry: Tensor) -> Restored:
    """The network's output, with its types and shapes checked."""
    height, width = blurry.shape[-2:]
    try:
        output = network(blurry)
    except Exception as error:
        raise AssertionError(f"the network fails on images of {width}×{height} px: {error}") from error
    require(isinstance(output, Restored), f"the output is a {type(output).__name__} instead of Restored(images, aux)")
    require(isinstance(output.images, tuple) and len(output.images) > 0, "images must be a tuple, final output first")
    for image in output.images:
        shapes = f"{tuple(image.shape)} {image.dtype} for {tuple(blurry.shape)} {blurry.dtype}"
        require(image.shape == blurry.shape and image.dtype == blurry.dtype, f"an output is {shapes}")
        require(bool(image.isfinite().all()), "an output is not finite everywhere")
    return output


def _beyond_range(height: int, width: int, like: nn.Module) -> Tensor:
    """Two smooth random images in [-0.25, 1.25], ``(2, 3, height, width)``."""
    return 1.5 * texture(height, width, like) - 0.25


def _blend(image: Tensor) -> Tensor:
    """A scalar with a different weight for each pixel."""
    return (image * torch.linspace(-1, 1, image.numel(), dtype=image.dtype, device=image.device).view_as(image)).sum()


def _unused_parameters(part: nn.Module, total: Tensor) -> list[str]:
    """The trained parameters of ``part`` that ``total`` does not depend on."""
    parameters = {name: p for name, p in part.named_parameters() if p.requires_grad}
    if not parameters:
        return []
    gradients = torch.autograd.grad(total, list(parameters.values()), retain_graph=True, allow_unused=True)
    return [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]
