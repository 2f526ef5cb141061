"""Reblur an image with per-pixel isotropic kernels (Eq. 7-9), exactly, without building a single kernel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from jdrl_lightning.reblur.custom_op import reblur_op
from jdrl_lightning.reblur.enlarging import coarse_size, enlarge
from jdrl_lightning.reblur.kernel_geometry import check_support
from jdrl_lightning.reblur.kernel_interface import ReblurInputs
from jdrl_lightning.reblur.kernels import split_scales

__all__ = ["reblur"]


def reblur(
    image: Tensor,
    seeds: Tensor,
    weights: Tensor,
    levels: int = 8,
    support: str = "square",
    padding: str = "zeros",
    absolute: bool = True,
    scales: int = 1,
    stride: int = 1,
) -> Tensor:
    """Blur each pixel with a mixture of isotropic kernels of sizes 1, 3, 5, …, ``2 levels - 1``.

    ``out = W_1 image + Σ_{i=2..levels} W_i (k_i * image)``, ``k_i`` the softmax of Eq. 7.

    With ``scales > 1`` (ours; the paper has one scale) the same levels are applied to the image at half, quarter, …
    resolution too, for a ``2^s`` times larger reach: ``out + Σ_s W_s up(Σ_i w_si (k_si * down_s(image)))``. At a coarse
    scale the weights are averaged like the image and normalised over the levels; the total weight ``W_s`` of the scale
    is applied at full resolution, so that a constant image stays constant.

    With ``stride > 1`` (ours) the maps have a value for each ``stride × stride`` px and are enlarged bilinearly, at one
    scale without ever existing at full resolution. With ``scales > 1`` they are enlarged before, as those of
    :func:`.reblur_free` are.

    Args:
        image: ``(B, C, H, W)``, any float dtype; half precision is computed in float32.
        seeds: raw network output, ``(B, scales · Σ_{i=2..levels} i, H, W)``, finest scale first: 2 channels for level
            2, …, ``levels`` for the last.
        weights: weight maps, softmaxed over dim 1, ``(B, levels + (scales - 1)(levels - 1), H, W)``, finest scale
            first; channel 0 belongs to the unblurred image, which only the finest scale has.
        levels: ``m`` of the paper, at least 2; the largest radius is ``levels - 1`` px.
        support: ``square`` (elements beyond the radius keep logit 0) or ``disk`` (they have no weight).
        padding: what lies beyond the image: ``zeros`` (the published code) or ``reflect``.
        absolute: take ``|seeds|`` first.
        scales: number of resolutions, at least 1.
        stride: seeds and weights have ``⌈H / stride⌉`` rows and ``⌈W / stride⌉`` columns.

    Returns:
        ``(B, C, H, W)`` in the image's dtype, differentiable once in all three tensors.

    Raises:
        ValueError: a shape or a setting is wrong.

    Source: Li et al., AAAI 2023, Eq. 7-9.
    """
    n_seeds, n_weights = scales * (levels * (levels + 1) // 2 - 1), levels + (scales - 1) * (levels - 1)
    check(image, {"seeds": (seeds, n_seeds), "weights": (weights, n_weights)}, levels, padding, scales, stride)
    check_support(support)
    if scales > 1:
        seeds, weights = (enlarge(maps, stride, *image.shape[2:]) for maps in (seeds, weights))
        stride = 1
    (finest_seeds, finest_weights), *coarser = split_scales(seeds, weights, levels, scales)
    result = _reblur_scale(image, finest_seeds, finest_weights, support, padding, absolute, stride)
    for scale, maps in enumerate(coarser, start=1):
        small, small_seeds, small_weights = (_downsample(tensor, 2**scale) for tensor in (image, *maps))
        share = small_weights / small_weights.sum(1, keepdim=True).clamp_min(1e-12)
        share = torch.cat([torch.zeros_like(share[:, :1]), share], dim=1)
        blurred = _reblur_scale(small, small_seeds, share, support, padding, absolute)
        upsampled = F.interpolate(blurred, scale_factor=2**scale, mode="bilinear")
        result = result + maps.weights.sum(1, keepdim=True) * upsampled[..., : image.shape[2], : image.shape[3]]
    return result


def check(
    image: Tensor, maps: dict[str, tuple[Tensor, int]], levels: int, padding: str, scales: int = 1, stride: int = 1
) -> None:
    """Raise a ``ValueError`` that names the wrong argument.

    Args:
        image: must be a float ``(B, C, H, W)``.
        maps: by argument name: a tensor of the image's batch and its size over ``stride``, and the channels that it
            must have.
        levels: at least 2.
        padding: ``zeros`` or ``reflect``; ``reflect`` needs ``levels`` px a side at the coarsest scale.
        scales: at least 1.
        stride: at least 1.
    """
    if levels < 2 or scales < 1 or stride < 1:
        raise ValueError(f"levels={levels} must be at least 2, scales={scales} and stride={stride} at least 1")
    if padding not in ("zeros", "reflect"):
        raise ValueError(f"padding={padding!r} is not one of zeros, reflect")
    if image.ndim != 4 or not image.is_floating_point():
        raise ValueError(f"image must be a float (B, C, H, W), got {image.dtype} {tuple(image.shape)}")
    batch, _, height, width = image.shape
    for name, (tensor, channels) in maps.items():
        if tuple(tensor.shape) != (wanted := (batch, channels, *coarse_size(height, width, stride))):
            settings = f"levels={levels}" + (f", scales={scales}" if scales > 1 else "")
            settings += f", stride={stride}" if stride > 1 else ""
            raise ValueError(
                f"{name} must be {wanted} for {settings} and an image {tuple(image.shape)}, got {tuple(tensor.shape)}"
            )
    smallest = (levels - 1) * 2 ** (scales - 1) + 1
    if padding == "reflect" and min(height, width) < smallest:
        raise ValueError(f"padding='reflect' with levels={levels} needs an image of at least {smallest} px a side")


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest of the tensors' dtypes, at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def pad(image: Tensor, reach: int, padding: str) -> Tensor:
    """``(B, C, H, W)`` to ``(B, C, H + 2 reach, W + 2 reach)``, ``zeros`` or ``reflect``."""
    if padding == "zeros":
        return F.pad(image.contiguous(), [reach] * 4)
    for dim in (-1, -2):  # by slices: the backward of F.pad's reflection is not deterministic on CUDA
        before, after = image.narrow(dim, 1, reach), image.narrow(dim, image.shape[dim] - 1 - reach, reach)
        image = torch.cat([before.flip(dim), image, after.flip(dim)], dim)
    return image.contiguous()


def _reblur_scale(
    image: Tensor, seeds: Tensor, weights: Tensor, support: str, padding: str, absolute: bool, stride: int = 1
) -> Tensor:
    padded = pad(image.to(compute_dtype(image, seeds, weights)), weights.shape[1] - 1, padding)
    return reblur_op(*ReblurInputs(padded, seeds, weights, support, absolute, stride)).to(image.dtype)


def _downsample(image: Tensor, factor: int) -> Tensor:
    """Means over ``factor`` × ``factor`` pixels; at the right and bottom edge over those that exist."""
    return F.avg_pool2d(image, factor, ceil_mode=True, count_include_pad=False)
