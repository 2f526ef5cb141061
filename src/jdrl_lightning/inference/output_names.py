"""Names of restored files and blur maps: those of their inputs, no two alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from os.path import splitext
from pathlib import Path

from jdrl_lightning.io.written import written_suffix

__all__ = ["blur_map_file", "output_names"]


def output_names(names: Sequence[str], blur_map: bool) -> dict[str, str]:
    """Each input's name in ``output``, for all inputs of one folder, in any order.

    A format that is written keeps its name; another becomes ``a.png``, or ``a.bmp.png`` where a second input would get
    that name or its map. Further clashes, as of ``a.jpg`` and ``a.png`` with maps, repeat the suffix of the later one.
    """
    usual = {name: _written(splitext(name)[0], name) for name in names}
    claims = Counter(result for target in usual.values() for result in _results(target, blur_map))
    taken: set[str] = set()
    found: dict[str, str] = {}
    for converted, name in sorted((usual[name] != name, name) for name in names):
        stem, suffix = splitext(name)
        clash = converted and any(claims[result] > 1 for result in _results(usual[name], blur_map))
        stem = name if clash else stem
        while not taken.isdisjoint(results := _results(_written(stem, name), blur_map)):
            stem += suffix or ".png"
        taken.update(results)
        found[name] = results[0]
    return found


def blur_map_file(target: Path) -> Path:
    """Where the blur map of a restored file goes."""
    return target.with_name(f"{target.stem}_blur.png")


def _written(stem: str, name: str) -> str:
    return stem + written_suffix(name)


def _results(target: str, blur_map: bool) -> list[str]:
    return [target, blur_map_file(Path(target)).name] if blur_map else [target]
