"""The C++ library: compiled and cached, with bad compilers and bad caches too."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jdrl_lightning.data.synthetic import compiled
from jdrl_lightning.native import library
from jdrl_lightning.reblur import cpu_kernel, custom_op, reference
from jdrl_lightning.reblur.operator import reblur
from reblur.random_maps import random_inputs, random_maps

try:
    library.load_library(*cpu_kernel.LIBRARY)
except OSError:
    pytest.skip("no C++ compiler here", allow_module_level=True)


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A cache folder that does not exist yet, and a quick build."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(library, "FLAGS", tuple(flag.replace("-O3", "-O0") for flag in library.FLAGS))
    library.load_library.cache_clear()
    custom_op._fast_kernel.cache_clear()
    yield tmp_path / "cache" / "jdrl_lightning"
    library.load_library.cache_clear()
    custom_op._fast_kernel.cache_clear()


def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", f"{sys.executable} -c \"raise SystemExit('no licence')\"")


def silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", f"{sys.executable} -c pass")


def lying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", f"{sys.executable} -c \"import sys; open(sys.argv[-1], 'w').write('no library')\"")


def hanging(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", f'{sys.executable} -c "import time; time.sleep(60)"')
    monkeypatch.setattr(library, "BUILD_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        (no_compiler, "none found"),
        (failing, "failed: no licence"),
        (silent, "reblur"),
        (lying, "reblur"),
        (hanging, "timed out"),
    ],
)
def test_without_a_working_compiler_the_reference_takes_over_with_one_warning(
    compiler: Callable[[pytest.MonkeyPatch, Path], None],
    reason: str,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    compiler(monkeypatch, tmp_path)
    maps = random_maps(3, 6, 7, dtype=torch.float32)
    with pytest.warns(UserWarning, match=f"a C\\+\\+ compiler .* is needed, but: .*{reason}"):
        result = reblur(*maps, levels=3)
    torch.testing.assert_close(result.double(), reblur(*map(Tensor.double, maps), levels=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reblur(*maps, levels=3)
    assert not list(empty_cache.glob("*"))  # what does not work is not cached


def test_a_broken_cache_is_replaced_by_two_at_once(empty_cache: Path) -> None:
    empty_cache.mkdir(mode=0o700, parents=True)
    with ThreadPoolExecutor(2) as pool:
        build = library.load_library.__wrapped__
        first, second = (pool.submit(build, *cpu_kernel.LIBRARY) for _ in range(2))
        assert first.result()._name != second.result()._name  # neither found the other's
    (cached,) = empty_cache.iterdir()
    whole = cached.read_bytes()
    cached.unlink()
    cached.write_bytes(whole[:100])
    assert library.load_library(*cpu_kernel.LIBRARY)._name != str(cached)
    assert cached.stat().st_size == len(whole)
    library.load_library.cache_clear()
    assert library.load_library(*cpu_kernel.LIBRARY)._name == str(cached)


def test_a_cache_that_others_can_write_is_not_used(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    empty_cache.chmod(0o777)
    with pytest.warns(UserWarning, match="compiled at every start: .* is writable by others"):
        library.load_library(*cpu_kernel.LIBRARY)
    assert not list(empty_cache.iterdir())


def test_the_plainest_instruction_set_gives_the_same(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "INSTRUCTIONS", {})
    inputs = random_inputs(4, 9, 35, dtype=torch.float64)
    grad = torch.linspace(-1, 1, 3 * 9 * 35, dtype=torch.float64).view(inputs.output_shape)
    single = inputs.map(Tensor.float)
    found = [cpu_kernel.forward(single), *cpu_kernel.backward(grad.float(), single, True, True)]
    expected = [reference.forward(inputs), *reference.backward(grad, inputs, True, True)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=4e-6)


@pytest.mark.parametrize("source", [cpu_kernel.SOURCE, compiled.SOURCE], ids=lambda path: path.name)
def test_the_sources_compile_without_warnings(source: Path, tmp_path: Path) -> None:
    flags = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-ignored-attributes")
    command = [*library._compiler(), *library.FLAGS, *flags, "-I", str(library.SHARED), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
