"""What the page may show and how it computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose

from jdrl_lightning.errors import UserError

__all__ = ["Settings", "settings"]


class Settings(NamedTuple):
    """Settings of the page.

    Attributes:
        runs: folder whose runs are listed.
        pairs: folder with one's own pairs, or None.
        weights: published weights: for each backbone's option its file, and the plain settings of that network.
        device: where networks compute.
        megapixels: the largest picture, in millions of pixels.
        upload_mb: the largest file, in millions of bytes.
        tile, overlap: px, as in ``predict``.
    """

    runs: Path
    pairs: Path | None = None
    weights: Mapping[str, dict[str, Any]] = {}
    device: str = "auto"
    megapixels: float = 100
    upload_mb: int = 500
    tile: int = 1184
    overlap: int = 208


def settings(config: Mapping[str, Any]) -> Settings:
    """Those of a plain config of the command.

    Raises:
        UserError: a folder or file that is not there, or a limit that is none.
    """
    given = {key: config[key] for key in Settings._fields if key in config}
    for key in ("megapixels", "upload_mb"):
        if not config[key] > 0:
            raise UserError(f"{key}={config[key]}: must be above 0")
    pairs = config["pairs"] and Path(config["pairs"])
    if pairs and not pairs.is_dir():
        raise UserError(f"pairs={pairs}: no such folder")
    published = {str(name): _published(str(name), Path(file)) for name, file in (config["weights"] or {}).items()}
    return Settings(**given | {"runs": Path(config["runs"]), "pairs": pairs, "weights": published})


def _published(option: str, file: Path) -> dict[str, Any]:
    """The settings of the network that ``weights.<option>=<file>`` names."""
    from jdrl_lightning.cli.config import plain

    if not file.exists():
        raise UserError(f"weights.{option}={file}: no such file")
    return {**plain(compose("train", [f"backbone={option}"]).backbone), "weights": str(file)}
