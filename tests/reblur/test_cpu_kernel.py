"""The C++ form against the ring form in double precision, and its compilation under bad conditions."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jdrl_lightning.reblur import cpu_kernel, custom_op, reference
from jdrl_lightning.reblur.operator import reblur
from reblur.maps import padded_maps

try:
    cpu_kernel._library()
except OSError:
    pytest.skip("no C++ compiler here", allow_module_level=True)


def both(form, tensors: tuple[Tensor, ...], support: str = "square", absolute: bool = True) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """The result, and the gradients of the padded image, the seeds and the weights."""
    reblurred = form.forward(*tensors, support, absolute)
    draw = torch.Generator().manual_seed(1)
    grad = torch.randn(reblurred.shape, dtype=torch.float64, generator=draw).to(reblurred.dtype)
    return [reblurred, *form.backward(grad, *tensors, support, absolute, True, True)]


@pytest.mark.parametrize(
    ("levels", "height", "width", "batch", "channels"),
    [(8, 37, 43, 2, 3), (8, 1, 1, 1, 1), (8, 5, 3, 1, 3), (3, 40, 250, 1, 4), (2, 9, 16, 3, 1), (11, 17, 130, 1, 2)],
)
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("support", ["square", "disk"])
def test_equals_the_ring_form(
    support: str, absolute: bool, levels: int, height: int, width: int, batch: int, channels: int
) -> None:
    exact = padded_maps(levels, height, width, batch, channels, torch.float64)
    expected = both(reference, exact, support, absolute)
    found = both(cpu_kernel, tuple(t.float() for t in exact), support, absolute)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-6 * float(theirs.abs().max()))


def test_the_number_of_threads_changes_no_bit() -> None:
    tensors = padded_maps(8, 90, 120, 2)
    alone = both(cpu_kernel, tensors)  # one thread: see conftest
    torch.set_num_threads(5)
    assert all(map(torch.equal, both(cpu_kernel, tensors), alone))


def test_layout_and_half_precision() -> None:
    tensors = padded_maps(4, 12, 20, 2)
    expected = both(cpu_kernel, tensors)
    last = tuple(t.to(memory_format=torch.channels_last) for t in tensors)
    assert all(map(torch.equal, both(cpu_kernel, last), expected))
    padded, seeds, weights = tensors[0], tensors[1].bfloat16(), tensors[2].half()
    halves, singles = (
        both(cpu_kernel, (padded, seeds, weights)),
        both(cpu_kernel, (padded, seeds.float(), weights.float())),
    )
    assert [t.dtype for t in halves] == [torch.float32, torch.float32, torch.bfloat16, torch.float16]
    for half, single in zip(halves, singles, strict=True):
        assert torch.equal(half, single.to(half.dtype))


def test_large_and_zero_seeds() -> None:
    padded, seeds, weights = padded_maps(8, 4, 40, dtype=torch.float64)
    seeds[..., :10] *= 1000
    seeds[..., 10:20] *= -100
    seeds[..., 20:30] = 0
    for absolute in (True, False):
        expected = both(reference, (padded, seeds, weights), absolute=absolute)
        found = both(cpu_kernel, (padded.float(), seeds.float(), weights.float()), absolute=absolute)
        for ours, theirs in zip(found, expected, strict=True):
            # a seed of thousands has no more than three decimals in float32
            torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("where", ["image", "seeds", "weights"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_nan_and_infinity_spread_as_far_as_they_should(where: str, wrong: float) -> None:
    tensors = padded_maps(4, 20, 40)
    tensors[("image", "seeds", "weights").index(where)][0, 1, 10, 21] = wrong
    for ours, theirs in zip(both(cpu_kernel, tensors), both(reference, tensors), strict=True):
        assert torch.equal(ours.isfinite(), theirs.isfinite())
        assert bool(ours.isfinite().any())
        finite = theirs.isfinite()
        torch.testing.assert_close(ours[finite], theirs[finite], rtol=1e-5, atol=1e-5)


def test_an_empty_batch() -> None:
    assert [t.shape[0] for t in both(cpu_kernel, padded_maps(3, 4, 5, batch=0))] == [0, 0, 0, 0]


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty cache, and a quick build."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cpu_kernel, "FLAGS", tuple(flag.replace("-O3", "-O0") for flag in cpu_kernel.FLAGS))
    cpu_kernel._library.cache_clear()
    custom_op._fast_form.cache_clear()
    yield tmp_path / "cache" / "jdrl_lightning"
    cpu_kernel._library.cache_clear()
    custom_op._fast_form.cache_clear()


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
    monkeypatch.setattr(cpu_kernel, "BUILD_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        (no_compiler, "there is none"),
        (failing, "failed: no licence"),
        (silent, "reblur"),
        (lying, "reblur"),
        (hanging, "timed out"),
    ],
)
def test_without_a_working_compiler_the_ring_form_takes_over_and_says_so_once(
    compiler, reason: str, nothing_built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    compiler(monkeypatch, tmp_path)
    padded, seeds, weights = padded_maps(3, 6, 7)
    image = padded[..., 2:-2, 2:-2]
    with pytest.warns(UserWarning, match=f"a C\\+\\+ compiler .* is needed, but: .*{reason}"):
        result = reblur(image, seeds, weights, levels=3)
    torch.testing.assert_close(result.double(), reblur(image.double(), seeds.double(), weights.double(), levels=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reblur(image, seeds, weights, levels=3)
    assert not list(nothing_built.glob("*"))  # what does not work is not kept


def test_a_broken_cache_is_made_anew_by_two_at_once(nothing_built: Path) -> None:
    nothing_built.mkdir(mode=0o700, parents=True)
    with ThreadPoolExecutor(2) as pool:
        build = cpu_kernel._library.__wrapped__
        first, second = pool.submit(build), pool.submit(build)
        assert first.result()._name != second.result()._name  # neither found the other's
    (kept,) = nothing_built.iterdir()
    whole = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(whole[:100])
    assert cpu_kernel._library()._name != str(kept)
    assert kept.stat().st_size == len(whole)
    cpu_kernel._library.cache_clear()
    assert cpu_kernel._library()._name == str(kept)


def test_a_cache_that_others_can_write_is_not_used(nothing_built: Path) -> None:
    nothing_built.mkdir(parents=True)
    nothing_built.chmod(0o777)
    with pytest.warns(UserWarning, match="compiled at every start, since .* can be written by others"):
        cpu_kernel._library()
    assert not list(nothing_built.iterdir())


def test_the_plainest_instruction_set_gives_the_same(nothing_built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_kernel, "INSTRUCTIONS", {})
    tensors = padded_maps(4, 9, 35, dtype=torch.float64)
    for ours, theirs in zip(both(cpu_kernel, tuple(t.float() for t in tensors)), both(reference, tensors), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=4e-6)


def test_warnings_of_the_compiler_are_errors_here(tmp_path: Path) -> None:
    flags = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-ignored-attributes")
    command = [*cpu_kernel._compiler(), *cpu_kernel.FLAGS, *flags, str(cpu_kernel.SOURCES / "reblur.cpp")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
