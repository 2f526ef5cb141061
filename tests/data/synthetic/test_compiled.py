"""The renderer's C++: without a compiler torch takes over, and every instruction set draws the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from data.synthetic.scenes import needs_compiler, without_compiler
from jdrl_lightning.data.synthetic import compiled
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import dead_leaves
from jdrl_lightning.native import library
from jdrl_lightning.types import Pair

needs_compiler()


def rendered() -> Pair:
    leaves = dead_leaves("val", 0, size=128)[:2]
    return RenderedPairs(leaves, 0, 1, 48, misalignment=preset("nonrigid")).render(1)


def assert_same(first: Pair, second: Pair) -> None:
    """To the rounding of 8 bits; what is true of a frame exactly."""
    for ours, theirs in ((first.blurry, second.blurry), (first.sharp, second.sharp)):
        difference = (ours.int() - theirs.int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() < 2e-3
    assert all(torch.equal(first.extras[key], second.extras[key]) for key in first.extras)


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for cached in (library.load_library, compiled._library):
        cached.cache_clear()
    yield
    for cached in (library.load_library, compiled._library):
        cached.cache_clear()


def test_without_a_compiler_torch_takes_over_with_one_warning(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "there_is_no_such_compiler")
    with pytest.warns(UserWarning, match=r"rendering is slow: a C\+\+ compiler .* is needed, but: .*no_such_compiler"):
        slow = rendered()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rendered()
    monkeypatch.delenv("CXX")
    compiled._library.cache_clear()
    assert_same(rendered(), slow)


def test_the_plainest_instruction_set_draws_the_same(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "INSTRUCTIONS", {})
    plain = rendered()
    without_compiler(monkeypatch)
    assert_same(plain, rendered())


def test_other_devices_and_dtypes_are_left_to_torch() -> None:
    assert compiled.compiled_for(torch.empty(1, dtype=torch.float64)) is None
    assert compiled.compiled_for(torch.empty(1, device="meta")) is None
