"""What ``against_kornia.py`` compares: our form and kornia's, place by place, on the same random input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import kornia.augmentation as augmentation
import numpy as np
import torch
import torch.nn.functional as F
from kornia.color import hsv_to_rgb, linear_rgb_to_rgb, rgb_to_grayscale, rgb_to_linear_rgb
from kornia.contrib import extract_tensor_patches
from kornia.enhance import normalize
from kornia.filters import (
    box_blur,
    canny,
    fft_conv,
    filter2d,
    filter2d_separable,
    gaussian_blur2d,
    get_gaussian_kernel2d,
    sobel,
    spatial_gradient,
)
from kornia.geometry.conversions import cart2pol
from kornia.geometry.grid import create_meshgrid
from kornia.geometry.transform import build_pyramid, hflip, pyrdown, pyrup, remap, resize, warp_grid
from kornia.geometry.transform.imgwarp import invert_affine_transform
from kornia.losses import charbonnier_loss as unit_charbonnier_loss
from skimage.feature import canny as skimage_canny
from torch import Tensor

from jdrl_lightning.classical import deconvolution, ebdb
from jdrl_lightning.data.augment import _enlarged as enlarged
from jdrl_lightning.data.augment import augment
from jdrl_lightning.data.color_jitter import recolor
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs, disc
from jdrl_lightning.flow import affine, filters, gauss_newton, propagation
from jdrl_lightning.flow.color import flow_to_rgb
from jdrl_lightning.flow.warp import magnitude, warp
from jdrl_lightning.losses import contextual, edge
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.losses.vgg import MEAN, STD
from jdrl_lightning.preparation.patches import SOBEL_SIZES, _gradient_sums
from jdrl_lightning.types import Pair

Forms = tuple[Callable[[], Tensor], Callable[[], Tensor]]


class Case(NamedTuple):
    """One row: ``forms(batch, height, width)`` draws an input and returns our form and kornia's."""

    what: str
    counterpart: str
    forms: Callable[[int, int, int], Forms]
    largest: int = 1120  # height up to which it is measured


def on(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *channels: int) -> Callable[[int, int, int], Forms]:
    """Both on uniform random images of so many channels."""

    def forms(batch: int, height: int, width: int) -> Forms:
        images = [torch.rand(batch, count, height, width) for count in channels]
        return lambda: ours(*images), lambda: theirs(*images)

    return forms


def backward(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *channels: int) -> Callable[..., Forms]:
    """Gradients to the first image, of the mean square of what comes out."""

    def forms(batch: int, height: int, width: int) -> Forms:
        first, *rest = (torch.rand(batch, count, height, width) for count in channels)
        first.requires_grad_()

        def gradient(form: Callable[..., Tensor]) -> Tensor:
            return torch.autograd.grad(form(first, *rest).square().mean(), first)[0]

        return lambda: gradient(ours), lambda: gradient(theirs)

    return forms


def gaussian(image: Tensor, sigma: float) -> Tensor:
    return gaussian_blur2d(image, 2 * max(1, math.ceil(3 * sigma)) + 1, (sigma, sigma), "replicate")


def remapped(image: Tensor, flow: Tensor, grid: str = "exact", mode: str = "bilinear") -> Tensor:
    y, x = (torch.arange(side, dtype=flow.dtype) for side in flow.shape[-2:])
    flow = 10 * flow - 5
    return remap(image, x + flow[:, 0], y[:, None] + flow[:, 1], mode, "border", align_corners=grid == "exact")


def warped(image: Tensor, flow: Tensor, grid: str = "exact", mode: str = "bilinear") -> Tensor:
    return warp(image, 10 * flow - 5, mode=mode, grid=grid)


def catmull_rom(batch: int, height: int, width: int) -> Forms:
    image, flow = filters.smooth(torch.rand(batch, 3, height, width), 2.0), torch.rand(batch, 2, height, width)
    return lambda: warped(image, flow, mode="bicubic"), lambda: remapped(image, flow, mode="bicubic")


def basis(image: Tensor) -> Tensor:
    grid = create_meshgrid(*image.shape[-2:])[0].permute(2, 0, 1)
    return torch.cat([grid, torch.ones_like(grid[:1])])


def affine_field(batch: int, height: int, width: int) -> Forms:
    parameters, like = torch.randn(batch, 2, 3), torch.empty(batch, 1, height, width)

    def theirs() -> Tensor:
        matrix = torch.cat([parameters, torch.zeros(batch, 1, 3)], dim=1) + torch.eye(3)
        grid = create_meshgrid(height, width)
        return (warp_grid(grid, matrix) - grid).permute(0, 3, 1, 2)

    return lambda: affine.affine_field(parameters, like), theirs


def inverse_affine(batch: int, height: int, width: int) -> Forms:
    parameters, like = torch.randn(batch, 2, 3), torch.empty(batch, 1, height, width)

    def theirs() -> Tensor:
        pixel, eye = 1 / affine.basis_px(like)[:2, None], torch.eye(3)[:2]
        return (invert_affine_transform(pixel * parameters + eye) - eye) / pixel

    return lambda: affine.invert_affine(parameters, like), theirs


def hsv(flow: Tensor) -> Tensor:
    length, angle = cart2pol(flow[:, :1], flow[:, 1:])
    saturation = length / length.flatten(1).amax(1).view(-1, 1, 1, 1)
    return hsv_to_rgb(torch.cat([angle + math.pi, saturation, torch.ones_like(angle)], dim=1))


def grey(image: Tensor) -> Tensor:
    red, green, blue = image.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def to_linear(image: Tensor) -> Tensor:
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055).clamp_min(0) ** 2.4)


def to_srgb(light: Tensor) -> Tensor:
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def scaled_charbonnier(restored: Tensor, target: Tensor, eps: float = 1e-3) -> Tensor:
    return eps * (unit_charbonnier_loss(restored / eps, target / eps, "mean") + 1)


def burt_adelson(image: Tensor) -> Tensor:
    taps = image.new_tensor([edge.TAPS])
    return filter2d_separable(image, taps, taps, "replicate")


def normalized(image: Tensor) -> Tensor:
    mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (image - mean) / std


def laplacian_of_noise(image: Tensor) -> Tensor:
    kernel = image.new_tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[None, None]
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel)


def edges(image: Tensor, scale: float = 1.4) -> Tensor:
    smoothed = filters.smooth(image, 2.0)
    found = [
        skimage_canny(picture[0].double().numpy(), scale, *ebdb.QUANTILES, use_quantiles=True, mode="nearest")
        for picture in smoothed
    ]
    return torch.from_numpy(np.stack(found))


def kornia_edges(image: Tensor, scale: float = 1.4) -> Tensor:
    smoothed, taps = filters.smooth(image, 2.0), 2 * math.ceil(4 * scale) + 1
    strength = sobel(gaussian(smoothed, scale), normalized=False).flatten()
    low, high = (float(strength.kthvalue(round(share * len(strength))).values) for share in ebdb.QUANTILES)
    return canny(smoothed, low, high, taps, (scale, scale))[1][:, 0]


def connected(values: Tensor, maps: Tensor) -> Tensor:
    lines = (maps > 0.9).to(values)
    neighbours = box_blur(lines, 3, "constant").clamp_min(1 / 9)
    values = values * lines
    for _ in range(ebdb.CONNECTIONS):
        values = lines * box_blur(values, 3, "constant") / neighbours
    return values


def discs(batch: int, height: int, width: int) -> Forms:
    image, radius = torch.rand(4, height, width), 7 * torch.rand(height, width)

    def theirs() -> Tensor:
        blurred = torch.zeros_like(image)
        for step in range(8):
            share = (1 - (radius - step).abs()).clamp_min(0)
            kernel = disc(step, 2 * step + 3)[None].to(image)
            blurred += share * (fft_conv(image[None], kernel, "circular")[0] if step else image)
        return blurred

    return lambda: blur_by_discs(image, radius), theirs


def sobel_energies(batch: int, height: int, width: int) -> Forms:
    """Relative to ours: a Sobel kernel's sum has no unit."""
    image = torch.rand(height, width)
    scale = _gradient_sums(image)

    def theirs() -> Tensor:
        sums = []
        for size in SOBEL_SIZES:
            across, along = np.array([-1.0, 0, 1]), np.array([1.0, 2, 1])
            while len(across) < size:
                across, along = (np.convolve(taps, [1, 4, 6, 4, 1]) for taps in (across, along))
            slope, average = (image.new_tensor(taps)[None] for taps in (across, along))
            forms = [filter2d_separable(image[None, None], *taps) for taps in ((slope, average), (average, slope))]
            sums.append(torch.hypot(*forms).sum(dtype=torch.float64))
        return torch.stack(sums) / scale

    return lambda: _gradient_sums(image) / scale, theirs


def cropped_enlargement(batch: int, height: int, width: int) -> Forms:
    flow = torch.rand(2, height // 4, width // 4)
    top, left, side = height // 8, width // 8, min(256, height // 2)

    def ours() -> Tensor:
        return enlarged(enlarged(flow, height, top, side, -2), width, left, side, -1)

    def theirs() -> Tensor:
        return resize(flow, (height, width), antialias=False)[:, top : top + side, left : left + side]

    return ours, theirs


def pair(height: int, width: int) -> Pair:
    image = torch.randint(256, (3, height, width), dtype=torch.uint8)
    return Pair(image, image.flip(0), "", {})


def crops_and_turns(batch: int, height: int, width: int) -> Forms:
    """Both images of a pair, alike; kornia's takes floats only. Different draws: the differences mean nothing."""
    sample, crop = pair(height, width), height // 2
    images = torch.stack([sample.blurry, sample.sharp]).float() / 255
    draw = augmentation.AugmentationSequential(
        augmentation.RandomCrop((crop, crop)),
        augmentation.RandomHorizontalFlip(),
        augmentation.RandomRotation90((0, 3), p=1.0),
        data_keys=["input"],
        same_on_batch=True,
    )
    return lambda: augment(sample, crop, 0, 0, 0).blurry / 255, lambda: draw(images)[0]


def jitter(batch: int, height: int, width: int) -> Forms:
    """A factor on light against one on sRGB values: not the same change."""
    sample = pair(height, width)
    images = torch.stack([sample.blurry, sample.sharp]).float() / 255
    draw = augmentation.ColorJitter(brightness=(0.4, 1.2), p=1.0, same_on_batch=True)
    return lambda: recolor(sample, np.random.default_rng(0)).blurry / 255, lambda: draw(images)[0]


def gaussian_kernel(batch: int, height: int, width: int) -> Forms:
    sigma = 3.0

    def ours() -> Tensor:
        offset = torch.arange(-9, 10, dtype=torch.float64)
        taps = torch.exp(-0.5 * (offset / sigma).square())
        return torch.outer(taps, taps) / taps.sum().square()

    return ours, lambda: get_gaussian_kernel2d(19, torch.full((1, 2), sigma, dtype=torch.float64))[0]


KERNEL = disc(7.0, 15)

CASES = [
    Case("smooth, σ = 0.8", "gaussian_blur2d", on(lambda x: filters.smooth(x, 0.8), lambda x: gaussian(x, 0.8), 1)),
    Case("smooth, σ = 4.5", "gaussian_blur2d", on(lambda x: filters.smooth(x, 4.5), lambda x: gaussian(x, 4.5), 1)),
    Case("gradient", "spatial_gradient", on(filters.gradient, lambda x: spatial_gradient(x, "diff")[:, 0], 1)),
    Case("pyramid, second level", "build_pyramid", on(
        lambda x: gauss_newton.pyramid(x)[1], lambda x: build_pyramid(x, 2, "replicate")[1], 1)),
    Case("warp", "remap", on(warped, remapped, 3, 2)),
    Case("warp, backward", "remap", backward(warped, remapped, 3, 2)),
    Case("warp, legacy grid", "remap", on(
        lambda x, f: warped(x, f, "legacy"), lambda x, f: remapped(x, f, "legacy"), 3, 2)),
    Case("warp, bicubic", "remap", catmull_rom),
    Case("affine_basis", "create_meshgrid", on(affine.affine_basis, basis, 1)),
    Case("affine_field", "warp_grid", affine_field),
    Case("invert_affine", "invert_affine_transform", inverse_affine),
    Case("magnitude", "cart2pol", on(magnitude, lambda f: cart2pol(f[:, :1], f[:, 1:])[0], 2)),
    Case("flow_to_rgb", "hsv_to_rgb", on(lambda f: flow_to_rgb(f - 0.5), lambda f: hsv(f - 0.5), 2)),
    Case("= grey", "rgb_to_grayscale", on(grey, rgb_to_grayscale, 3)),
    Case("= sRGB to light", "rgb_to_linear_rgb", on(to_linear, rgb_to_linear_rgb, 3)),
    Case("= light to sRGB", "linear_rgb_to_rgb", on(to_srgb, linear_rgb_to_rgb, 3)),
    Case("charbonnier_loss", "charbonnier_loss", on(charbonnier_loss, scaled_charbonnier, 3, 3)),
    Case("charbonnier_loss, backward", "charbonnier_loss", backward(charbonnier_loss, scaled_charbonnier, 3, 3)),
    Case("edge_loss, its blur", "filter2d_separable", on(edge._blur, burt_adelson, 3)),
    Case("edge_loss, its blur, backward", "filter2d_separable", backward(edge._blur, burt_adelson, 3)),
    Case("edge_loss, laplacian", "pyrup, pyrdown", on(
        edge.laplacian, lambda x: x - pyrup(pyrdown(x, "replicate"), "replicate"), 3)),
    Case("contextual patches", "extract_tensor_patches", on(
        contextual.patches, lambda x: extract_tensor_patches(x, 5, 4).flatten(2), 3)),
    Case("contextual patches, backward", "extract_tensor_patches", backward(
        contextual.patches, lambda x: extract_tensor_patches(x, 5, 4).flatten(2), 3)),
    Case("VGG's normalisation", "normalize", on(
        normalized, lambda x: normalize(x, x.new_tensor(MEAN), x.new_tensor(STD)), 3)),
    Case("blur by a disc of 7 px", "fft_conv", on(
        lambda x: deconvolution.blur(x, KERNEL), lambda x: fft_conv(x, KERNEL[None], "replicate"), 3)),
    Case("blur by a disc of 7 px", "filter2d", on(
        lambda x: deconvolution.blur(x, KERNEL), lambda x: filter2d(x, KERNEL[None], "replicate"), 3)),
    Case("= Gaussian kernel, once a radius", "get_gaussian_kernel2d", gaussian_kernel, 96),
    Case("= EBDB's noise filter", "filter2d", on(laplacian_of_noise, lambda x: filter2d(
        x, x.new_tensor([[[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]]), "replicate"), 1)),
    Case("EBDB's edges", "canny", on(edges, kornia_edges, 1), 256),
    Case("connected_edge_filter", "box_blur", on(
        lambda v, m: ebdb.connected_edge_filter(v, (m > 0.9).to(v)), connected, 1, 1)),
    Case("propagate, halving", "pyrdown", on(propagation._halved, lambda x: pyrdown(x, "replicate"), 1)),
    Case("blur_by_discs", "fft_conv", discs),
    Case("sharpness of patches", "filter2d_separable", sobel_energies),
    Case("crop of an enlarged flow", "resize", cropped_enlargement),
    Case("= flip", "hflip", on(lambda x: x.flip(-1).contiguous(), hflip, 3)),
    Case("quarter_turn", "RandomRotation90", on(
        lambda x: torch.rot90(x, 1, (-2, -1)).contiguous(), augmentation.RandomRotation90((1, 1), p=1.0), 3), 256),
    Case("augment", "AugmentationSequential", crops_and_turns),
    Case("recolor", "ColorJitter", jitter),
    Case("photographs, reduced", "resize", on(
        lambda x: F.interpolate(x, [side // 2 for side in x.shape[-2:]], mode="bilinear", antialias=True),
        lambda x: resize(x, tuple(side // 2 for side in x.shape[-2:]), antialias=True), 3)),
]  # fmt: skip
