"""Restore photographs: ``python -m jdrl_lightning.predict input=photos output=restored``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main", "predict"]

log = logging.getLogger(__name__)

MAP_LEVELS = 4096  # a pixel of radius: a blur map's 16 bits reach 16 px


def planned(source: Path, output: Path, overwrite: bool, blur_map: bool = False) -> list[tuple[Path, Path]]:
    """Input and output files, all checked before the first is restored.

    Raises:
        UserError: nothing to restore, a file that is not an image, an output that is not a folder, two inputs with the
            same output, an output that exists or cannot hold the bit depth.
    """
    from jdrl_lightning.io.image import header, image_files

    if not source.exists():
        raise UserError(f"{source}: no such file or folder; give input=<image or folder>")
    files = image_files(source) if source.is_dir() else [source]
    if not files:
        raise UserError(f"{source}: holds no images (PNG, JPEG, TIFF)")
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; give output=<folder>")
    jobs: dict[Path, Path] = {}
    for file in files:
        target = output / file.name
        if target.suffix.lower() not in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
            target = target.with_suffix(".png")
        if target in jobs:
            raise UserError(f"{file} and {jobs[target]} would both be written to {target}; restore them one by one")
        for made in (target, blur_map_file(target))[: 1 + blur_map]:
            if made.exists() and not overwrite:
                raise UserError(f"{made}: exists; give another output=… or overwrite=true")
        depth = header(file).depth
        if depth > 8 and target.suffix.lower() in (".jpg", ".jpeg"):
            raise UserError(f"{file}: a {depth}-bit picture, which {target} cannot hold; name it .png or .tif")
        jobs[target] = file
    return [(file, target) for target, file in jobs.items()]


def blur_map_file(target: Path) -> Path:
    """Where the blur map of a restored file goes."""
    return target.with_name(f"{target.stem}_blur.png")


def predict(
    backbone: Any,
    jobs: list[tuple[Path, Path]],
    tile: int,
    overlap: int,
    tile_batch: int = 1,
    precision: str = "32-true",
    compile: bool = False,
    blur_map: bool = False,
) -> None:
    """Restore every file and write it in its own bit depth, with its alpha channel, grey tone and colour profile.

    With ``blur_map`` the predicted radius of the circle of confusion goes beside it, into ``<name>_blur.png``: 16 bits,
    ``MAP_LEVELS`` a pixel.

    Raises:
        UserError: incompatible settings, before a file is read; or the GPU runs out of memory.
    """
    import torch
    from rich.progress import Progress

    from jdrl_lightning.inference.network import blur_radius, ready
    from jdrl_lightning.inference.tiles import check_tiles, restore
    from jdrl_lightning.io.image import read_picture, write_image
    from jdrl_lightning.types import to_float, to_uint

    check_tiles(tile, overlap, backbone.divisor, tile_batch)
    network, device = ready(backbone, precision, compile), next(backbone.parameters()).device
    with Progress() as progress, torch.inference_mode():
        pictures = progress.add_task("restoring", total=len(jobs))
        for number, (file, target) in enumerate(jobs):

            def show(done: int, total: int, number: int = number) -> None:
                progress.update(pictures, completed=number + done / total)

            picture = read_picture(file)
            blurry = to_float(picture.image)[None].to(device)
            try:
                restored = restore(network, blurry, tile, overlap, backbone.divisor, show, tile_batch)
            except torch.OutOfMemoryError as error:
                raise UserError(f"{file}: out of GPU memory; lower tile_batch={tile_batch} or tile={tile}") from error
            pixels = to_uint(restored[0].cpu(), picture.depth)
            write_image(target, pixels, alpha=picture.alpha, grey=picture.grey, icc=picture.icc)
            if blur_map:
                px = restore(blur_radius(backbone), blurry, tile, overlap, backbone.divisor, batch=tile_batch)[0].cpu()
                write_image(blur_map_file(target), to_uint(px * (MAP_LEVELS / 65535), 16), grey=True)


@command("predict")
def main(cfg: DictConfig) -> None:
    """Compose, check, restore."""
    from hydra.core.hydra_config import HydraConfig

    if cfg.input is None:
        raise UserError("give input=<image or folder>; see --help")
    output = Path(cfg.output or Path(HydraConfig.get().runtime.output_dir) / "restored")
    jobs = planned(Path(cfg.input), output, cfg.overwrite, cfg.blur_map)

    from jdrl_lightning import build

    if cfg.ckpt_path is None:
        backbone = build.backbone(build.SHIPPED)
        log.info("restoring with the shipped network %s; ckpt_path=<checkpoint> takes one of yours", backbone.name)
    else:
        backbone = build.backbone_from_checkpoint(cfg.ckpt_path)
    backbone = backbone.to(build.device(cfg.device))
    predict(backbone, jobs, cfg.tile, cfg.overlap, cfg.tile_batch, cfg.precision, cfg.compile, cfg.blur_map)
    log.info("%d restored: %s", len(jobs), output)


if __name__ == "__main__":
    main()
