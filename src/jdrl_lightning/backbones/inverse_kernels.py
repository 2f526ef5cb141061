"""INIKNet's inverse kernels: drawn by small networks of the taps' coordinates, and mixed at each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SIDES_PX", "InverseKernels", "mixed", "polar_coordinates"]

SIDES_PX = (3, 5, 7, 9, 11, 13, 15)
HIDDEN = 64
SLOWEST, FASTEST = 2.0, 12.0  # frequencies at the start


class InverseKernels(nn.Module):
    """A dictionary of kernels: each of ``bases`` coordinate networks, sampled at seven sizes.

    A network maps the polar coordinates of a tap to its weight: two layers of ``sin(ω (A x + b))`` with 64 features,
    then a linear one. The frequencies ``ω`` are trained, too; they start from 2 to 12, evenly. A kernel of ``n × n``
    taps is divided by ``n² / 9``, so that kernels of all sizes have sums of the same order.

    Args:
        bases: number of coordinate networks.
    """

    def __init__(self, bases: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.linspace(SLOWEST, FASTEST, bases))
        self.first, self.second = _Linears(bases, 3, HIDDEN), _Linears(bases, HIDDEN, HIDDEN)
        self.last = _Linears(bases, HIDDEN, 1, bias=False)

    def forward(self) -> list[Tensor]:
        """The kernels ``(bases, side, side)`` for each of ``SIDES_PX``."""
        with torch.autocast(self.frequency.device.type, enabled=False):  # it would round the sines' arguments
            points = torch.cat([polar_coordinates(side, self.frequency) for side in SIDES_PX])
            frequency = self.frequency[:, None, None]
            hidden = torch.sin(frequency * self.first(points))
            taps = self.last(torch.sin(frequency * self.second(hidden))).squeeze(-1)
        sizes = taps.split([side**2 for side in SIDES_PX], dim=1)
        return [
            size.unflatten(1, (side, side)) * (SIDES_PX[0] ** 2 / side**2)
            for size, side in zip(sizes, SIDES_PX, strict=True)
        ]


def polar_coordinates(side: int, like: Tensor) -> Tensor:
    """Coordinates of a square kernel's taps, row by row: ``(side², 3)``, all in [0, 1].

    With the angle ``θ`` from the downward axis, they are the distance from the centre in units of half a diagonal,
    ``(1 + cos θ) / 2`` and ``(1 + sin θ) / 2``; θ is 0 at the centre.

    Args:
        side: taps, odd.
        like: a tensor of the result's type and device.
    """
    place = torch.arange(1 - side, side, 2, dtype=like.dtype, device=like.device)  # the centre's is exactly 0
    down, right = (axis.flatten() / (side - 1) for axis in torch.meshgrid(place, place, indexing="ij"))
    angle = torch.atan2(right, down)
    distance = ((down**2 + right**2) / 2).sqrt()
    return torch.stack([distance, (1 + angle.cos()) / 2, (1 + angle.sin()) / 2], dim=1)


def mixed(image: Tensor, kernels: Sequence[Tensor], sizes: Tensor, bases: Tensor, colours: Tensor) -> Tensor:
    """Filter an image with kernels that are weighted at each pixel, and mix the colours; borders are zeros.

    Args:
        image: ``(B, 3, H, W)``.
        kernels: S tensors ``(M, side, side)``, odd sides.
        sizes: ``(B, S, H, W)``, weight of each size.
        bases: ``(B, M, H, W)``, weight of each kernel of a size.
        colours: ``(S, 3, 3, M)``, weight of size, colour out, colour in and kernel.

    Returns:
        ``(B, 3, H, W)``: ``Σ sizes[s] bases[m] colours[s, o, i, m] (kernels[s][m] * image[i])``, with ``*`` as in
        :func:`torch.nn.functional.conv2d`.
    """
    result = torch.zeros_like(image)
    for kernel, colour, size in zip(kernels, colours, sizes.unbind(1), strict=True):
        # A kernel's filters for all colours at once: (B, 3 M, H, W).
        filtered = F.conv2d(image, kernel.repeat(3, 1, 1)[:, None], padding=kernel.shape[-1] // 2, groups=3)
        weighted = (filtered.unflatten(1, (3, -1)) * bases[:, None]).flatten(1, 2)
        result = result + size[:, None] * F.conv2d(weighted, colour.flatten(1)[:, :, None, None])
    return result


class _Linears(nn.Module):
    """``number`` linear layers side by side, initialised as :class:`torch.nn.Linear`.

    Takes ``(N, before)``, or ``(number, N, before)`` for inputs of their own; returns ``(number, N, after)``.
    """

    def __init__(self, number: int, before: int, after: int, bias: bool = True) -> None:
        super().__init__()
        bound = before**-0.5
        self.weight = nn.Parameter(torch.empty(number, after, before).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(number, after).uniform_(-bound, bound)) if bias else None

    def forward(self, points: Tensor) -> Tensor:
        values = points @ self.weight.mT
        return values if self.bias is None else values + self.bias[:, None]
