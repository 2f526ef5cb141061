"""The renderer's two slow loops in C++ (``cpp/render.cpp``), for CPUs: float32, one thread."""

from __future__ import annotations

import ctypes
import subprocess
import warnings
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.errors import first_line
from jdrl_lightning.native.library import COMPILER, load_library

__all__ = ["LIBRARY", "SOURCE", "compiled_for"]

SOURCE = Path(__file__).parent / "cpp" / "render.cpp"
LIBRARY = SOURCE, ("jdrl_displaced", 6, 2), ("jdrl_defocused", 7, 4)


def compiled_for(image: Tensor) -> ctypes.CDLL | None:
    """The library if it can take such an image; None: torch has to, which works on every device."""
    return _library() if image.device.type == "cpu" and image.dtype == torch.float32 else None


@lru_cache
def _library() -> ctypes.CDLL | None:
    try:
        return load_library(*LIBRARY)
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(f"rendering is slow: {COMPILER} is needed, but: {first_line(error)}", stacklevel=2)
        return None
