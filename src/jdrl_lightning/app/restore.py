"""One photograph from the upload to what the page shows and offers for download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex
from torch import Tensor

from jdrl_lightning.app.models import model
from jdrl_lightning.app.sessions import Session
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.app.viewer import Shown, show, viewer
from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.network import check_takes_pictures
from jdrl_lightning.inference.picture_file import blend, blur_px, read_for, restored_pixels, write_like
from jdrl_lightning.inference.tiles import check_tiles
from jdrl_lightning.io.image import header, read_picture
from jdrl_lightning.io.written import written_suffix

__all__ = ["check_size", "map_colours", "restore", "scale", "with_strength"]

COLOURS, STOPS = "viridis", 9
LEAST_PX = 1.0  # the map's scale ends there or higher

Report = Callable[[float, str], None]


def check_size(file: Path, megapixels: float) -> str:
    """What a picture is, from its header, in words.

    Raises:
        UserError: it is larger than ``megapixels`` millions of pixels, or no picture.
    """
    head = header(file)
    size = head.height * head.width / 1e6
    if size > megapixels:
        raise UserError(
            f"{file}: {size:.0f} megapixels exceed the page's limit of {megapixels:g}; scale it down, start the app "
            f"with megapixels={-int(-size // 1)}, or restore it with jdrl_lightning.predict"
        )
    return f"{head.width}×{head.height}, {head.depth} bits"


def restore(
    file: Path, chosen: Sequence[str], blur_map: bool, strength: float, settings: Settings, session: Session,
    report: Report,
) -> tuple[str, list[Path]]:  # fmt: skip
    """Restore ``file`` with each of the ``chosen`` networks, tile by tile.

    Args:
        chosen: one or two of :func:`~.models.choices`.
        blur_map: predict that too, by the first network.
        strength: 0 to 1, of the files.
        session: its folder gets the files, and its pictures; it stops the computation after a tile.
        report: called with the share that is done and what is being done.

    Returns:
        The viewer's element and the restored files, one a network.

    Raises:
        UserError: a picture that cannot be read or is too large, or a network that cannot be used.
        Cancelled: the session was stopped.
    """
    check_size(file, settings.megapixels)
    session.check()
    session.empty()
    models = [model(name, settings) for name in chosen]
    picture = read_for(file, _target(session, file, 0))
    passes = len(models) + blur_map

    def progress(number: int, what: str) -> Callable[[int, int], None]:
        def show_tile(done: int, total: int) -> None:
            session.check()
            report((number + done / total) / passes, f"{what}: tile {done} of {total}")

        return show_tile

    folder, done = session.folder, []
    pictures = {"blurry": Shown("Blurry", show(picture.image, folder / "blurry.png", picture.icc))}
    for number, (name, (backbone, network)) in enumerate(zip(chosen, models, strict=True)):
        check_takes_pictures(backbone)
        check_tiles(settings.tile, settings.overlap, backbone.divisor)
        try:
            pixels = restored_pixels(
                network, backbone, picture, settings.tile, settings.overlap, progress(number, "restoring")
            )
        except torch.OutOfMemoryError as error:
            raise UserError(f"{file}: out of GPU memory; start the app with a smaller tile={settings.tile}") from error
        done.append(folder / f"{number}.npy")
        np.save(done[-1], pixels.numpy())
        title = "Restored" if len(chosen) == 1 else f"Restored: {name.removeprefix('run ').removeprefix('weights ')}"
        address = show(pixels, folder / f"restored_{number}.png", picture.icc)
        pictures[f"restored_{number}"] = Shown(title, address, blended=True)
    layer, note = None, ""
    if blur_map:
        px = blur_px(models[0].backbone, picture, settings.tile, settings.overlap, progress(len(models), "blur map"))
        end = max(LEAST_PX, float(px[0].max()))
        layer = Shown("Blur map", show(map_colours(px[0], end), folder / "blur_map.png"))
        note = scale("Radius of the blur", end)
    session.restored = tuple(done)
    sides = ("blurry", "restored_0") if len(chosen) == 1 else ("restored_0", "restored_1")
    return viewer(pictures, sides, map=layer, note=note), with_strength(file, strength, session)


def with_strength(file: Path, strength: float, session: Session) -> list[Path]:
    """The files of the session's last restoration of ``file``, blended with it; one a network, none if there is none.

    Raises:
        UserError: they cannot be read or written.
    """
    written = []
    picture = read_picture(file) if session.restored else None
    for number, pixels in enumerate(session.restored):
        assert picture is not None
        restored = torch.from_numpy(np.load(pixels, allow_pickle=False))
        target = _target(session, file, number)
        write_like(target, blend(picture.image, restored, strength), picture)
        written.append(target)
    return written


def map_colours(px: Tensor, end: float) -> Tensor:
    """``(H, W)`` px on a scale from 0 to ``end`` as colours, ``(3, H, W)`` uint8."""
    rgba = matplotlib.colormaps[COLOURS](np.clip(px.numpy() / end, 0, 1), bytes=True)
    return torch.from_numpy(np.ascontiguousarray(rgba[..., :3])).permute(2, 0, 1)


def _target(session: Session, file: Path, number: int) -> Path:
    count = f"_{number + 1}" if number else ""
    return session.folder / f"{file.stem}_restored{count}{written_suffix(file)}"


def scale(what: str, end: float) -> str:
    """The legend of :func:`map_colours`, as HTML."""
    stops = ", ".join(to_hex(matplotlib.colormaps[COLOURS](i / (STOPS - 1))) for i in range(STOPS))
    return (
        f'<p class="note scale"><span>{escape(what)}</span><span>0</span>'
        f'<span class="bar" style="background: linear-gradient(to right, {stops})"></span><span>{end:.1f} px</span></p>'
    )
