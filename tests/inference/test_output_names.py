"""No two inputs become one file, and no name depends on the order of the inputs."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import pytest

from jdrl_lightning.inference.output_names import blur_map_file, output_names


@pytest.mark.parametrize(
    ("names", "made"),
    [
        ("a.png b.JPG c.bmp d", "a.png b.JPG c.png d.png"),
        ("a.png a.bmp", "a.png a.bmp.png"),
        ("a.bmp a.webp", "a.bmp.png a.webp.png"),
        ("a.png a.bmp a.bmp.png", "a.png a.bmp.bmp.png a.bmp.png"),
        ("a.jpg a.bmp a.tif", "a.jpg a.png a.tif"),
    ],
)
def test_the_suffix_stays_where_a_second_input_would_get_the_name(names: str, made: str) -> None:
    assert output_names(names.split(), blur_map=False) == dict(zip(names.split(), made.split(), strict=True))


@pytest.mark.parametrize(
    ("names", "made"),
    [
        ("a.png b.bmp", "a.png b.png"),
        ("a.jpg a.bmp", "a.jpg a.bmp.png"),
        ("a.jpg a.png", "a.jpg a.png.png"),
        ("a.png a_blur.png", "a.png a_blur.png.png"),
    ],
)
def test_blur_maps_are_outputs_too(names: str, made: str) -> None:
    assert output_names(names.split(), blur_map=True) == dict(zip(names.split(), made.split(), strict=True))


@pytest.mark.parametrize("blur_map", [False, True])
def test_all_outputs_differ_in_any_order(blur_map: bool) -> None:
    stems, suffixes = ("a", "a_blur", "a.bmp"), (".png", ".bmp", ".jpg", "")
    names = [stem + suffix for stem, suffix in product(stems, suffixes)]
    names.remove("a.bmp")  # made in two ways
    made = output_names(names, blur_map)
    outputs = [*made.values(), *(blur_map_file(Path(name)).name for name in made.values() if blur_map)]
    assert len(set(outputs)) == len(outputs) == len(names) * (1 + blur_map)
    for some in permutations(names[:5]):
        assert output_names(some, blur_map) == output_names(sorted(some), blur_map)
