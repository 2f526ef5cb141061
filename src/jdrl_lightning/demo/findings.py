"""Sentences that follow from the numbers: a row is above another only if the interval of their difference says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jdrl_lightning.demo.formatting import interval, listed, number, percent, signed, verdict
from jdrl_lightning.demo.methods import BASES, CEILING, METHODS, label, short

__all__ = ["findings"]


def findings(results: Mapping[str, Any]) -> list[str]:
    """What the numbers say and no more."""
    psnr = {row["method"]: float(row["psnr"]) for row in results["rows"]}
    broken = [label(name) for name, value in psnr.items() if not math.isfinite(value)]
    if broken:
        return [f"No comparison: the PSNR of {listed(broken)} is not a finite number.", _scope(results)]
    return [
        _against_registering(results),
        _pixel_wise(psnr["charbonnier"] - psnr["input"]),
        _share(results, "gain_psnr", "input", psnr, "that the ceiling gains over them"),
        _share(results, "recovered_psnr", "charbonnier", psnr, "between that and the ceiling"),
        _placements(results),
        *_above_ceiling(psnr),
        _scope(results),
    ]


def _told_apart(results: Mapping[str, Any], key: str, difference: float, other: str) -> str | None:
    """Where JDRL ends against ``other``, in dB; None if the interval of ``key`` does not say."""
    low, high = results["intervals"][key]
    if low > 0:
        return f"JDRL ends {difference:.2f} dB above {other}"
    if high < 0:
        return f"JDRL ends {-difference:.2f} dB below {other}"
    return None


def _against_registering(results: Mapping[str, Any]) -> str:
    key, other = "over_prealign_db", "registering each pair first"
    difference = results[key]
    start = _told_apart(results, key, difference, other) or (
        f"JDRL and {other} cannot be told apart here: the difference is {signed(difference)} dB"
    )
    return f"{start} ({interval(results, key)}, which {verdict(results, key)})."


def _pixel_wise(difference: float) -> str:
    if abs(difference) < 0.005:
        place = "level with the blurry images it was given"
    elif difference < 0:
        place = f"{-difference:.2f} dB below the blurry images it was given: worse than leaving them alone"
    else:
        place = f"{difference:.2f} dB above the blurry images it was given"
    return f"Pixel-wise training on the misaligned pairs ends {place} (a difference given without an interval)."


def _share(results: Mapping[str, Any], key: str, start: str, psnr: Mapping[str, float], of_what: str) -> str:
    """JDRL against ``start``, in dB and as the share ``results[key]`` of the way from there to the ceiling."""
    room, difference, base = psnr[CEILING] - psnr[start], psnr["jdrl"] - psnr[start], BASES[start]
    if room <= 0:
        return (
            f"JDRL stands {signed(difference)} dB against {base}; the ceiling is not above {base} "
            f"({signed(room)} dB), so a share of that way means nothing here."
        )
    way = f"{percent(results[key])} of the {room:.2f} dB {of_what}"
    told = _told_apart(results, key, difference, base)
    if told:
        return f"{told}: {way} ({interval(results, key)})."
    return (
        f"JDRL cannot be told apart from {base}: the difference is {signed(difference)} dB, {way} "
        f"({interval(results, key)}, which includes zero)."
    )


def _placements(results: Mapping[str, Any]) -> str:
    places = {row["method"]: row["placement_px"] for row in results["rows"]}
    others = [f"{number(value, 2)} px ({short(n)})" for n, value in places.items() if n in METHODS and n != "jdrl"]
    return f"The placement error is {number(places['jdrl'], 2)} px for JDRL, against {listed(others)}."


def _above_ceiling(psnr: Mapping[str, float]) -> Iterable[str]:
    above = [label(name) for name, value in psnr.items() if value > psnr[CEILING]]
    if above:
        yield (
            f"Above the ceiling: {listed(above)}. No method is expected there: the ceiling's own training fell short, "
            "or too little was measured."
        )


def _scope(results: Mapping[str, Any]) -> str:
    return (
        f"This is one run with one seed ({results['settings']['seed']}): the intervals say how much hangs on which "
        f"{results['intervals']['over']} were measured, not how another training would end."
    )
