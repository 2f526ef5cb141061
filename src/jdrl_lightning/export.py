"""Export a trained network: ``python -m jdrl_lightning.export ckpt_path=best.ckpt output=exported``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["export", "main"]

log = logging.getLogger(__name__)


def export(backbone: Any, folder: Path, formats: list[str], shape: Any, overwrite: bool) -> dict[str, float]:
    """Write ``<name>.<format>`` and, next to it, ``<name>.<format>.json``; a file exists only after it was verified.

    Args:
        backbone: a :class:`~jdrl_lightning.backbones.Backbone` on the CPU.
        folder: created if missing.
        formats: of ``onnx`` and ``pt2``.
        shape: :class:`.export_formats.Shape`; its sides are raised to multiples of the divisor.
        overwrite: else an existing file is an error, before anything is done.

    Returns:
        The largest difference from torch on new random images, by format.

    Raises:
        UserError: a file exists, a format is unknown, its packages are missing, or the network cannot be exported.
    """
    import torch

    from jdrl_lightning import __version__
    from jdrl_lightning.inference.export_formats import check_formats, difference, program, serialized
    from jdrl_lightning.io.atomic import atomic_write

    check_formats(formats)
    divisor = backbone.divisor
    least = 2 if shape.any_size else 1
    height, width = (max(-(-side // divisor), least) * divisor for side in (shape.height, shape.width))
    shape = shape._replace(height=height, width=width)
    targets = {format: folder / f"{backbone.name}.{format}" for format in formats}
    for target in [file for path in targets.values() for file in (path, _beside(path))]:
        if target.exists() and not overwrite:
            raise UserError(f"{target}: exists; give another output=… or overwrite=true")
    exported, worst = program(backbone, shape), {}
    for format, target in targets.items():
        content = serialized(exported, format, backbone, shape)
        worst[format] = difference(content, format, backbone, shape)
        about = {
            "network": backbone.name,
            "input": {"name": "blurry", "shape": _dimensions(shape, divisor), "values": "float32, RGB in [0, 1]"},
            "output": {"name": "restored", "values": "like the input"},
            "sides_multiple_of_px": divisor,
            "sides_at_least_px": least * divisor,
            "largest_difference_from_torch": worst[format],
            "versions": {"jdrl_lightning": __version__, "torch": torch.__version__},
        }
        with atomic_write(target) as file:
            file.write(content)
        with atomic_write(_beside(target), "w") as file:
            file.write(json.dumps(about, indent=2) + "\n")
    return worst


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _dimensions(shape: Any, divisor: int) -> list[int | str]:
    sides = [f"{divisor}*height", f"{divisor}*width"] if shape.any_size else [shape.height, shape.width]
    return ["batch" if shape.any_batch else shape.batch, 3, *sides]


def _check(cfg: DictConfig) -> None:
    """Refuse wrong settings before torch is imported."""
    if (cfg.ckpt_path is None) == (cfg.get("backbone") is None):
        raise UserError("give either ckpt_path=<checkpoint> or backbone=<name> backbone.weights=<file>; see --help")
    if cfg.ckpt_path is None and not (cfg.backbone.get("weights") or cfg.backbone.get("path")):
        raise UserError(f"give backbone.weights=<file>: without it {cfg.backbone.name} is untrained")
    sides = cfg.size if isinstance(cfg.size, ListConfig) else []
    if len(sides) != 2 or not all(isinstance(value, int) and value > 0 for value in (*sides, cfg.batch)):
        raise UserError(f"size={cfg.size} batch={cfg.batch}: give size=[<height>,<width>], px, and batch=<images>")


@command("export")
def main(cfg: DictConfig) -> None:
    """Compose, export, report."""
    from hydra.core.hydra_config import HydraConfig

    _check(cfg)
    from jdrl_lightning import build
    from jdrl_lightning.cli.checkpoints import checkpoint_file
    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.inference.export_formats import Shape

    logging.getLogger("onnx_ir").setLevel(logging.WARNING)
    folder = Path(cfg.output or Path(HydraConfig.get().runtime.output_dir) / "exported")
    formats = list(cfg.formats) if isinstance(cfg.formats, ListConfig) else [cfg.formats]
    shape = Shape(cfg.batch, cfg.size[0], cfg.size[1], cfg.any_size, cfg.any_batch)
    if cfg.ckpt_path is not None:
        backbone = build.backbone_from_checkpoint(checkpoint_file(cfg.ckpt_path))
    else:
        backbone = build.backbone(plain(cfg.backbone))
    for format, value in export(backbone, folder, formats, shape, cfg.overwrite).items():
        log.info("%s: at most %.1e from torch's output on new images: %s", format, value, folder)


if __name__ == "__main__":
    main()
