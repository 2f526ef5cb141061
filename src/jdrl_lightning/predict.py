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
    """Restore every file and write it in its own bit depth, with its other channels, grey tone, profile and metadata.

    With ``blur_map`` the predicted radius of the circle of confusion goes into ``<name>_blur.png``: 16 bits,
    ``MAP_LEVELS`` a pixel. It is written first, so that a restored file says that both are finished.

    Raises:
        UserError: incompatible settings, before a file is read; the GPU runs out of memory; at the end, how many files
            of several could not be read or written, each of which is logged.
    """
    import torch
    from rich.progress import Progress

    from jdrl_lightning.inference.failures import Failures
    from jdrl_lightning.inference.network import check_takes_pictures, ready
    from jdrl_lightning.inference.output_names import blur_map_file
    from jdrl_lightning.inference.picture_file import blur_px, read_for, restored_pixels, write_like
    from jdrl_lightning.inference.tiles import check_tiles
    from jdrl_lightning.io.image import write_image
    from jdrl_lightning.types import to_uint

    check_takes_pictures(backbone)
    check_tiles(tile, overlap, backbone.divisor, tile_batch)
    network = ready(backbone, precision, compile)
    failures = Failures(len(jobs))
    with Progress() as progress:
        pictures = progress.add_task("restoring", total=len(jobs))
        for number, (file, target) in enumerate(jobs):

            def show(done: int, total: int, number: int = number) -> None:
                progress.update(pictures, completed=number + done / total)

            try:
                picture = read_for(file, target)
            except UserError as error:
                failures.add(error)
                show(1, 1)
                continue
            try:
                pixels = restored_pixels(network, backbone, picture, tile, overlap, show, tile_batch)
            except torch.OutOfMemoryError as error:
                raise UserError(f"{file}: out of GPU memory; lower tile_batch={tile_batch} or tile={tile}") from error
            if blur_map:
                px = blur_px(backbone, picture, tile, overlap, tile_batch=tile_batch)
            try:
                if blur_map:
                    write_image(blur_map_file(target), to_uint(px * (MAP_LEVELS / 65535), 16), grey=True)
                write_like(target, pixels, picture)
            except UserError as error:
                failures.add(error)
    failures.report()


@command("predict")
def main(cfg: DictConfig) -> None:
    """Compose, check, restore."""
    from hydra.core.hydra_config import HydraConfig

    if cfg.input is None:
        raise UserError("give input=<image or folder>; see --help")
    output = Path(cfg.output or Path(HydraConfig.get().runtime.output_dir) / "restored")
    from jdrl_lightning.inference.planned import planned

    jobs = planned(Path(cfg.input), output, cfg.overwrite, cfg.blur_map, cfg.resume, cfg.recursive)

    from jdrl_lightning import build
    from jdrl_lightning.cli.checkpoints import checkpoint_file

    if cfg.method is not None:
        from jdrl_lightning.classical.as_backbone import as_backbone

        if cfg.ckpt_path is not None:
            raise UserError(f"method={cfg.method} takes no network: give ckpt_path=… or method=…")
        backbone = as_backbone(cfg.method)
        log.info("restoring with %s: a blur map estimated from each picture, then deconvolution; untrained", cfg.method)
    elif cfg.ckpt_path is None:
        backbone = build.backbone(build.SHIPPED)
        log.info("restoring with the shipped network %s; ckpt_path=<checkpoint> takes one of yours", backbone.name)
    else:
        backbone = build.backbone_from_checkpoint(checkpoint_file(cfg.ckpt_path))
    backbone = backbone.to(build.device(cfg.device))
    predict(backbone, jobs, cfg.tile, cfg.overlap, cfg.tile_batch, cfg.precision, cfg.compile, cfg.blur_map)
    log.info("%d restored: %s", len(jobs), output)


if __name__ == "__main__":
    main()
