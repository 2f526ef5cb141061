"""A few damaged pictures of every format: each is read, or refused in one line; the benchmark does thousands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MUTATIONS = 60


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("JDRL_MAX_MEGAPIXELS", "10")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WebP", "BMP", "AVIF", "HEIC", "DNG"])
def test_damaged_pictures_are_read_or_refused(name: str, tmp_path: Path) -> None:
    from fuzz_pictures import mutated, outcome
    from picture_files import FORMATS

    if name not in FORMATS:
        pytest.skip("the extra formats is not installed")
    suffix, make = FORMATS[name]
    path = tmp_path / f"picture.{suffix}"
    intact = make()
    for number in range(MUTATIONS):
        path.write_bytes(mutated(intact[number % len(intact)], np.random.default_rng(number)))
        assert outcome(path) in ("read", "refused"), number


def test_an_exception_a_panic_and_another_size_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fuzz_pictures
    from picture_files import bmps

    path = tmp_path / "picture.bmp"
    path.write_bytes(bmps()[0])
    assert fuzz_pictures.outcome(path) == "read"
    monkeypatch.setattr(fuzz_pictures, "header", lambda _: (1, 2, 8))
    assert fuzz_pictures.outcome(path) == "other size"

    class PanicException(BaseException):
        """As Rust's."""

    def panic(_: Path) -> None:
        raise PanicException

    monkeypatch.setattr(fuzz_pictures, "header", panic)
    assert fuzz_pictures.outcome(path) == "raised"
