"""Compile a folder of C++ on first use and cache the library per user.

Only the C++ standard library is linked against: the build takes seconds, needs nothing but a compiler, and does not
depend on the version of PyTorch. Python calls the library through ctypes.
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

from jdrl_lightning.io.atomic import atomic_write

__all__ = ["COMPILER", "load_library"]

COMPILER = "a C++ compiler (g++ or clang++, or the one named in CXX)"  # what it takes
SHARED = Path(__file__).parent / "cpp"  # headers for all
FLAGS = ("-O3", "-std=gnu++17", "-fPIC", "-shared", "-pthread", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi")
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
}
BUILD_SECONDS = 300


@lru_cache
def load_library(main: Path, *functions: tuple[str, int, int]) -> ctypes.CDLL:
    """The library of a C++ file and the headers next to it, from the cache or newly compiled.

    Args:
        main: the file; its name is the library's.
        functions: that it exports, without a result: name, number of pointers, number of 64-bit integers after them.

    Raises:
        OSError: there is no compiler, it failed, or the library cannot be loaded.
        subprocess.SubprocessError: the compiler ran longer than ``BUILD_SECONDS``.
    """
    flags = (*FLAGS, *INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ()))
    files = [path for folder in (main.parent, SHARED) for path in sorted(folder.iterdir())]
    sources = "".join(path.read_text(encoding="utf-8") for path in files)
    fingerprint = hashlib.sha256("\0".join((sources, platform.machine(), *flags)).encode()).hexdigest()[:16]
    cached = _cache() / f"{main.stem}-{fingerprint}.so"
    with suppress(OSError):  # not there yet, or broken: compiled below
        _refuse_writable_by_others(cached.parent)
        return _load(cached, functions)
    with tempfile.TemporaryDirectory(prefix=f"jdrl-{main.stem}-") as folder:
        compiled = Path(folder) / cached.name
        _compile(main, flags, compiled)
        library = _load(compiled, functions)  # before caching: what does not load stays out of the cache
        try:
            cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_writable_by_others(cached.parent)
            with atomic_write(cached) as file:  # of two processes that do so at once the last one wins
                file.write(compiled.read_bytes())
        except OSError as error:
            warnings.warn(f"{main.name} is compiled at every start: {cached}: {error}", stacklevel=2)
    return library


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jdrl_lightning"


def _refuse_writable_by_others(path: Path) -> None:
    """Loading a library runs its code, so only this user may be able to write it."""
    found = path.stat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise PermissionError(f"{path} is writable by others")


def _compiler() -> list[str]:
    if named := shlex.split(os.environ.get("CXX", "")):
        return named
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise FileNotFoundError("none found")


def _compile(main: Path, flags: tuple[str, ...], target: Path) -> None:
    command = [*_compiler(), *flags, "-I", str(SHARED), str(main), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode:
        reason = (done.stderr.strip() or "without a message").splitlines()[0]
        raise ChildProcessError(f"{command[0]} failed: {reason}")


def _load(path: Path, functions: tuple[tuple[str, int, int], ...]) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, pointers, integers in functions:
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise OSError(f"{path.name} has no {name}") from error
        function.argtypes = [ctypes.c_void_p] * pointers + [ctypes.c_int64] * integers
        function.restype = None
    return library
