"""Models by name: ``hf:owner/name`` on the Hugging Face hub, or a folder that ``save_pretrained`` wrote."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from jdrl_lightning.errors import UserError, first_line

__all__ = ["CONFIG", "HUB", "WEIGHTS", "is_hub", "model_file", "on_hub"]

HUB = "hf:"
WEIGHTS, CONFIG = "model.safetensors", "config.json"  # all that is fetched: no code, no pickled weights
_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_FILES = (".ckpt", ".pt", ".pth", ".safetensors", ".bin")


def is_hub(given: Any) -> bool:
    """Whether ``given`` is ``hf:owner/name``."""
    return isinstance(given, str) and given.startswith(HUB)


def on_hub(given: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """``hf:owner/name`` for ``owner/name`` if it is nothing on this machine and no name of a file."""
    if not isinstance(given, str) or Path(given).exists() or not _NAME.fullmatch(given) or given.endswith(_FILES):
        return given
    return HUB + given


def model_file(given: str | os.PathLike[str], **download: Any) -> Path:
    """The weights of the model ``given``, with ``config.json`` beside them; what is no model is returned as it is.

    Args:
        given: ``hf:owner/name``, fetched into huggingface_hub's cache; ``hf:owner/name@<branch, tag or commit>``; or
            a folder that ``save_pretrained`` wrote.
        download: settings of ``huggingface_hub.snapshot_download``, as ``token``.

    Raises:
        UserError: there is no such model, it cannot be fetched, or it has no safetensors.
    """
    if is_hub(given):
        return _fetched(str(given), download)
    folder = Path(given)
    return folder / WEIGHTS if (folder / WEIGHTS).is_file() else folder


def _fetched(given: str, download: dict[str, Any]) -> Path:
    from huggingface_hub import snapshot_download

    for transport in ("httpx", "httpx2"):  # which log every request
        logging.getLogger(transport).setLevel(logging.WARNING)
    name, _, revision = given.removeprefix(HUB).partition("@")
    wanted = {"revision": revision} if revision else {}
    try:
        folder = Path(snapshot_download(name, allow_patterns=[WEIGHTS, CONFIG], **{**download, **wanted}))
    except Exception as error:  # of huggingface_hub, its transport and its cache, of many types
        reason = first_line(error).rstrip(".")
        raise UserError(
            f"{given}: cannot be fetched ({reason}); check name, connection and token, or give a file that is here"
        ) from error
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{given}: has no {WEIGHTS}; pickled weights (.bin, .ckpt) are not fetched from the hub")
    return folder / WEIGHTS
