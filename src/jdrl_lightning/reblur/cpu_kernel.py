"""The C++ form of the reblurring operator: compiled on first use, kept in the user's cache, called through ctypes.

No library but C++'s own is compiled against, so that the build takes seconds, needs no other tool than the compiler,
and does not depend on the version of PyTorch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import warnings
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.io.atomic import atomic_write

__all__ = ["backward", "forward"]

SOURCES = Path(__file__).parent / "cpp"
FLAGS = ("-O3", "-std=gnu++17", "-fPIC", "-shared", "-pthread", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi")
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
}
BUILD_SECONDS = 300
PIXELS_PER_THREAD = 2048  # fewer are done before another thread has started


def forward(padded: Tensor, seeds: Tensor, weights: Tensor, support: str, absolute: bool) -> Tensor:
    """As :func:`.reference.forward`, in float32."""
    padded, seeds, weights = (tensor.float().contiguous() for tensor in (padded, seeds, weights))
    out = padded.new_empty(*padded.shape[:2], *weights.shape[2:])
    tensors = (padded, seeds, weights, out)
    _library().jdrl_reblur_forward(*map(Tensor.data_ptr, tensors), *_settings(padded, weights, support, absolute))
    return out


def backward(
    grad_out: Tensor,
    padded: Tensor,
    seeds: Tensor,
    weights: Tensor,
    support: str,
    absolute: bool,
    need_image: bool,
    need_maps: bool,
) -> list[Tensor]:
    """As :func:`.reference.backward`; computed in float32. The same to the last bit with any number of threads."""
    dtypes = seeds.dtype, weights.dtype
    grad_out, padded, seeds, weights = (tensor.float().contiguous() for tensor in (grad_out, padded, seeds, weights))
    for_image = [torch.zeros_like(padded)] if need_image else []
    for_maps = [torch.empty_like(seeds), torch.empty_like(weights)] if need_maps else []
    pointers: list[int | None] = [tensor.data_ptr() for tensor in (grad_out, padded, seeds, weights)]
    pointers += [tensor.data_ptr() for tensor in for_image] or [None]
    pointers += [tensor.data_ptr() for tensor in for_maps] or [None, None]
    _library().jdrl_reblur_backward(*pointers, *_settings(padded, weights, support, absolute))
    return for_image + [grad.to(dtype) for grad, dtype in zip(for_maps, dtypes, strict=False)]


def _settings(padded: Tensor, weights: Tensor, support: str, absolute: bool) -> tuple[int, ...]:
    batch, levels, height, width = weights.shape
    threads = min(torch.get_num_threads(), 1 + batch * height * width // PIXELS_PER_THREAD)
    return batch, padded.shape[1], height, width, levels, support == "square", absolute, threads


@lru_cache
def _library() -> ctypes.CDLL:
    """From the cache, or else compiled.

    Raises:
        OSError: there is no compiler, or what it made cannot be loaded.
        subprocess.SubprocessError: it failed.
    """
    flags = (*FLAGS, *INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ()))
    written = "".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir()))
    fingerprint = hashlib.sha256("\0".join((written, platform.machine(), *flags)).encode()).hexdigest()[:16]
    kept = _cache() / f"reblur-{fingerprint}.so"
    with suppress(OSError):  # not there yet, or broken: made anew
        _refuse_others(kept.parent)
        return _load(kept)
    with tempfile.TemporaryDirectory(prefix="jdrl-reblur-") as folder:
        made = Path(folder) / kept.name
        _compile(flags, made)
        library = _load(made)  # before it is kept: what does not load stays out of the cache
        try:
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_others(kept.parent)
            with atomic_write(kept) as file:  # two processes may do so at once: the last one's file stays
                file.write(made.read_bytes())
        except OSError as error:
            warnings.warn(f"{kept}: the reblurring kernels are compiled at every start, since {error}", stacklevel=2)
    return library


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jdrl_lightning"


def _refuse_others(path: Path) -> None:
    """What is loaded is carried out: only this user may have written it."""
    found = path.stat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise PermissionError(f"{path} can be written by others")


def _compiler() -> list[str]:
    named = shlex.split(os.environ.get("CXX", ""))
    found = [[path] for name in ("c++", "g++", "clang++") if (path := shutil.which(name))]
    if not (named or found):
        raise FileNotFoundError("there is none")
    return named or found[0]


def _compile(flags: tuple[str, ...], target: Path) -> None:
    command = [*_compiler(), *flags, str(SOURCES / "reblur.cpp"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise ChildProcessError(f"{command[0]} failed: {(done.stderr.strip() or 'without a word').splitlines()[0]}")


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, n_tensors in (("jdrl_reblur_forward", 4), ("jdrl_reblur_backward", 7)):
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise OSError(f"{path.name} has no {name}") from error
        function.argtypes = [ctypes.c_void_p] * n_tensors + [ctypes.c_int64] * 8
        function.restype = None
    return library
