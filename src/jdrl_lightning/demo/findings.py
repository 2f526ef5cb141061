"""Sentences derived from the numbers: a row is called better only if the interval of the difference excludes zero."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jdrl_lightning.demo.formatting import interval, listed, number, percent, signed, verdict
from jdrl_lightning.demo.methods import BASES, CEILING, METHODS, label, short

__all__ = ["findings"]

LEVEL_DB = 0.005  # less is not seen in figures with two decimals
CHANCE_DB = 0.3  # so far above the upper bound a training may end by chance


def findings(results: Mapping[str, Any]) -> list[str]:
    """One sentence per comparison."""
    psnr = {row["method"]: float(row["psnr"]) for row in results["rows"]}
    broken = [label(name) for name, value in psnr.items() if not math.isfinite(value)]
    if broken:
        return [f"No comparison: the PSNR of {listed(broken)} is not a finite number.", _scope(results)]
    return [
        _against(results, "over_prealign_db", "registering each pair first"),
        _against(results, "over_shipped_db", BASES["shipped"]),
        _pixel_wise(psnr["charbonnier"] - psnr["shipped"], psnr["charbonnier"] - psnr["input"]),
        _share(results, "gain_psnr", "input", psnr, "that the upper bound gains over them"),
        _share(results, "recovered_psnr", "charbonnier", psnr, "between that and the upper bound"),
        _placements(results),
        *_above_ceiling(psnr),
        _scope(results),
    ]


def _clearly(results: Mapping[str, Any], key: str, difference: float, other: str) -> str | None:
    """How JDRL compares with ``other``, in dB; None if the interval of ``key`` includes zero."""
    low, high = results["intervals"][key]
    if low > 0:
        return f"JDRL ends {difference:.2f} dB above {other}"
    if high < 0:
        return f"JDRL ends {-difference:.2f} dB below {other}"
    return None


def _against(results: Mapping[str, Any], key: str, other: str) -> str:
    difference = results[key]
    start = _clearly(results, key, difference, other) or (
        f"JDRL and {other} are indistinguishable here: the difference is {signed(difference)} dB"
    )
    return f"{start} ({interval(results, key)}, which {verdict(results, key)})."


def _pixel_wise(over_shipped: float, over_input: float) -> str:
    harm = ": worse than leaving them unchanged" if over_input <= -LEVEL_DB else ""
    return (
        f"Pixel-wise training on the misaligned pairs ends {_placed(over_shipped)} {BASES['shipped']} and "
        f"{_placed(over_input)} {BASES['input']}{harm} (no interval is computed for these differences)."
    )


def _placed(difference: float) -> str:
    if abs(difference) < LEVEL_DB:
        return "level with"
    return f"{abs(difference):.2f} dB {'above' if difference > 0 else 'below'}"


def _share(results: Mapping[str, Any], key: str, start: str, psnr: Mapping[str, float], of_what: str) -> str:
    """JDRL against ``start``, in dB and as the fraction ``results[key]`` of the upper bound's gain over it."""
    room, difference, base = psnr[CEILING] - psnr[start], psnr["jdrl"] - psnr[start], BASES[start]
    if room <= 0:
        return (
            f"JDRL ends {signed(difference)} dB relative to {base}; the upper bound is not above {base} "
            f"({signed(room)} dB), so a fraction of its gain is meaningless here."
        )
    share = f"{percent(results[key])} of the {room:.2f} dB {of_what}"
    clearly = _clearly(results, key, difference, base)
    if clearly:
        return f"{clearly}: {share} ({interval(results, key)})."
    return (
        f"JDRL is indistinguishable from {base}: the difference is {signed(difference)} dB, {share} "
        f"({interval(results, key)}, which includes zero)."
    )


def _placements(results: Mapping[str, Any]) -> str:
    places = {row["method"]: row["placement_px"] for row in results["rows"]}
    others = [f"{number(value, 2)} px ({short(n)})" for n, value in places.items() if n in METHODS and n != "jdrl"]
    return f"The placement error is {number(places['jdrl'], 2)} px for JDRL, against {listed(others)}."


def _above_ceiling(psnr: Mapping[str, float]) -> Iterable[str]:
    above = {label(name): value - psnr[CEILING] for name, value in psnr.items() if value > psnr[CEILING]}
    if not above:
        return
    names, most = listed(list(above)), max(above.values())
    if most <= CHANCE_DB:
        yield (
            f"Above the upper bound, by {most:.2f} dB at most: {names}. The upper bound is one training too, and two "
            "trainings never end alike: read this as level with it, not as better."
        )
    else:
        yield (
            f"Above the upper bound: {names}, by up to {most:.2f} dB. This is not expected: the upper bound's own "
            "training fell short, or too few images were measured."
        )


def _scope(results: Mapping[str, Any]) -> str:
    return (
        f"This is one run with one seed ({results['settings']['seed']}): the intervals reflect the choice of test "
        f"{results['intervals']['over']}, not the variation between trainings."
    )
