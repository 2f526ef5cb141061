"""The camera: how strongly it blurs, through which aperture, and what its sensor and its software add."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import torch
from kornia.color import linear_rgb_to_rgb
from torch import Tensor

from jdrl_lightning.data.synthetic.defocus_psf import disc_kernel
from jdrl_lightning.errors import UserError, check_choice

__all__ = ["CAMERAS", "MARGIN_PX", "Optics", "Shot", "camera"]

MARGIN_PX = 24  # of the scene around the frame: content enters and leaves by the displacement, discs reach out
READ_EXPONENT = 0.8  # read noise against full scale grows more slowly than the ISO: part of it comes before the gain
BASE_ISO = 100
UNCOMPRESSED = 100  # a quality at which no JPEG is made


@dataclass(frozen=True)
class Optics:
    """The camera; each frame draws from the ranges. The defaults are a lens with a round, evenly lit aperture.

    Attributes:
        blur_px: largest radius of the circle of confusion, frame pixels; each frame draws its own strength up to it.
        gain: largest relative difference in exposure between the shots (aperture and shutter never match exactly).
        white_balance: the same for each colour.
        read_noise: standard deviation that does not depend on the light, of full scale in linear light, at ISO 100.
        shot_noise: variance a unit of linear light at ISO 100; the sharp shot, exposed longer, has a quarter of both.
        weakest: least strength of a frame's blur, a share of ``blur_px``.
        in_focus: share of frames without any defocus: a network must leave what is sharp alone.
        blades: most blades of the aperture, 5 to 20; stopped down, a disc becomes a polygon with rounded corners. 0:
            round.
        cats_eye: largest shift of the barrel's rim against the aperture, in radii: towards the corners of the picture
            it cuts the disc to a cat's eye.
        soft_edge: largest width of the disc's edge, in radii: diffraction and aberrations wash it out.
        ring: largest excess or lack of light at the rim of the disc against the mean: over- or undercorrected
            spherical aberration.
        obstruction: what a mirror lens's second mirror covers, radii: points out of focus become rings.
        iso: highest sensitivity; each frame's lies between 100 and it, evenly in stops.
        jpeg: lowest quality; half of the frames are compressed to one between it and 100, which is no compression.
        demosaic: largest share of bilinear interpolation from a Bayer mosaic, which softens and colours edges.
    """

    blur_px: float = 7.0
    gain: float = 0.03
    white_balance: float = 0.01
    read_noise: float = 0.0005
    shot_noise: float = 0.0001
    weakest: float = 0.5
    in_focus: float = 0.0
    blades: int = 0
    cats_eye: float = 0.0
    soft_edge: float = 0.0
    ring: float = 0.0
    obstruction: float = 0.0
    iso: float = 100.0
    jpeg: int = 100
    demosaic: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.blur_px < MARGIN_PX:
            raise UserError(f"data.blur_px={self.blur_px} lies outside 0 to {MARGIN_PX - 1} px, the scene's margin")
        for name in ("weakest", "in_focus", "cats_eye", "soft_edge", "ring", "obstruction", "demosaic"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"data.{name}={getattr(self, name)} lies outside 0 to 1")
        if self.blades and self.blades not in range(5, 21):
            raise UserError(f"data.blades={self.blades}: an aperture has 5 to 20 blades; 0 is a round one")
        if self.iso < BASE_ISO or not 1 <= self.jpeg <= UNCOMPRESSED:
            raise UserError(f"data.iso={self.iso} must be {BASE_ISO} or more, data.jpeg={self.jpeg} 1 to 100")

    def draw(self, rng: np.random.Generator) -> Shot:
        """One frame's camera."""
        sharp, stops, quality, bayer = rng.random(4)
        blades = int(rng.integers(5, self.blades + 1)) if self.blades else 0
        aperture = Aperture(
            blades=blades,
            turn=float(rng.uniform(0, 2 * math.pi)),
            curved=float(rng.random()),
            cut=self.cats_eye * float(rng.random()),
            towards=float(rng.uniform(0, 2 * math.pi)),
            edge=self.soft_edge * float(rng.random()),
            ring=self.ring * float(rng.uniform(-1, 1)),
            hole=self.obstruction,
        )
        gain = (self.iso / BASE_ISO) ** stops
        plain = not (self.blades or self.cats_eye or self.soft_edge or self.ring or self.obstruction)
        return Shot(
            kernel=disc_kernel if plain else cache(aperture),
            in_focus=bool(sharp < self.in_focus),
            read_variance=(self.read_noise * gain**READ_EXPONENT) ** 2,
            shot_variance=self.shot_noise * gain,
            quality=min(UNCOMPRESSED, round(self.jpeg + 2 * (UNCOMPRESSED - self.jpeg) * quality)),
            bayer=self.demosaic * bayer,
        )


# varied is what a network meets outside: apertures of 5 to 9 blades, wide open and stopped down, the corners of the
# picture, lenses that are not ideal, high sensitivity, a camera's JPEG engine, and pictures that need nothing.
CAMERAS = {
    "default": Optics(),
    "varied": Optics(
        blur_px=12.0,  # a fast lens on a picture of two megapixels
        weakest=0.05,
        in_focus=0.1,
        blades=9,
        cats_eye=0.5,
        soft_edge=0.3,
        ring=0.4,
        iso=3200,
        jpeg=75,
        demosaic=1.0,
    ),
    "mirror": Optics(weakest=0.8, soft_edge=0.1, obstruction=0.4, iso=400),  # a catadioptric telephoto lens
}


def camera(name: str, **own: float | None) -> Optics:
    """A named camera, with settings of one's own where they are not None.

    Raises:
        UserError: unknown name or setting, or a setting out of its range.
    """
    check_choice("data.camera", name, CAMERAS)
    for key in own:
        check_choice("data.optics", key, [field.name for field in fields(Optics)])
    return replace(CAMERAS[name], **{key: value for key, value in own.items() if value is not None})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Aperture:
    """The picture of a point out of focus.

    Attributes:
        blades: sides of the polygon; 0 is a circle.
        turn: of the polygon, radians.
        curved: 0 straight blades to 1 a circle.
        cut: shift of the barrel's rim, radii, ``towards`` an angle, radians.
        edge: width of the edge, radii.
        ring: excess of light at the rim, of the mean.
        hole: radius of the unlit middle, radii.
    """

    blades: int
    turn: float
    curved: float
    cut: float
    towards: float
    edge: float
    ring: float
    hole: float = 0.0

    def __call__(self, radius: int) -> Tensor:
        """``(n, n)`` float64, sum 1, of ``radius`` pixels; a polygon has the area of the circle of that radius."""
        reach = math.ceil(1.16 * radius + 0.5 * self.edge * radius) + 1  # a pentagon's corners lie 1.15 radii out
        offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
        x, y = offset[None, :], offset[:, None]
        distance = torch.hypot(x, y)
        inside = radius - distance
        if self.blades:
            angles = [self.turn + 2 * math.pi * side / self.blades for side in range(self.blades)]
            apothem = radius * math.sqrt(math.pi / self.blades / math.tan(math.pi / self.blades))
            polygon = apothem - torch.stack([math.cos(a) * x + math.sin(a) * y for a in angles]).amax(0)
            inside = self.curved * inside + (1 - self.curved) * polygon
        if self.cut:
            shift = self.cut * radius
            rim = radius - torch.hypot(x - shift * math.cos(self.towards), y - shift * math.sin(self.towards))
            inside = torch.minimum(inside, rim)
        light = (inside / (1 + self.edge * radius) + 0.5).clamp(0, 1)
        light = light * (1 + self.ring * (2 * (distance / max(radius, 1)).square() - 1)).clamp_min(0)
        if self.hole and radius > 1:  # otherwise smaller than a pixel
            light = light * (0.5 + distance - self.hole * radius).clamp(0, 1)
        return light / light.sum()


@dataclass(frozen=True)
class Shot:
    """One frame's camera.

    Attributes:
        kernel: the aperture's picture at a radius in pixels.
        in_focus: nothing is blurred.
        read_variance, shot_variance: of the noise, in linear light and a unit of it.
        quality: of JPEG; 100 is no compression.
        bayer: share of bilinear interpolation from a mosaic, 0 to 1.
    """

    kernel: Callable[[int], Tensor]
    in_focus: bool
    read_variance: float
    shot_variance: float
    quality: int
    bayer: float

    def take(self, light: Tensor, noise: np.random.Generator, share: float) -> Tensor:
        """``(3, H, W)`` linear light to uint8 sRGB: noise (Poisson's as a Gaussian of the same variance, read noise),
        mosaic, JPEG.

        Args:
            light: what falls onto the sensor.
            noise: where it is drawn from.
            share: of the variances; a longer exposure has less.
        """
        deviation = (share * (self.shot_variance * light.clamp_min(0) + self.read_variance)).sqrt()
        light = light + deviation * torch.from_numpy(noise.standard_normal(light.shape, dtype=np.float32)).to(
            light.device
        )
        if self.bayer:
            light = torch.lerp(light, demosaicked(light), self.bayer)
        image = (linear_rgb_to_rgb(light.clamp(0, 1)) * 255).round().to(torch.uint8)
        if self.quality == UNCOMPRESSED:
            return image
        from torchvision.io import decode_jpeg, encode_jpeg

        decoded: Tensor = decode_jpeg(encode_jpeg(image.cpu(), self.quality))
        return decoded.to(image.device)


def demosaicked(light: Tensor) -> Tensor:
    """``(3, H, W)`` through a Bayer mosaic, red in the corner; the missing colours are interpolated bilinearly."""
    height, width = light.shape[-2:]
    even_row, even_column = torch.arange(height)[:, None] % 2 == 0, torch.arange(width) % 2 == 0
    red, blue = even_row & even_column, ~even_row & ~even_column
    mask = torch.stack([red, ~red & ~blue, blue]).to(light.dtype)
    return torch.where(mask > 0, light, _tent(light * mask) / _tent(mask))


def _tent(image: Tensor) -> Tensor:
    """Sum with weights 1, 2, 1 down and across, zeros around; a fifth of the time that ``conv2d`` takes."""
    for dim in (-2, -1):
        rest = image.shape[dim] - 1
        total = 2 * image
        total.narrow(dim, 1, rest).add_(image.narrow(dim, 0, rest))
        total.narrow(dim, 0, rest).add_(image.narrow(dim, 1, rest))
        image = total
    return image
