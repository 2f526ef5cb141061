"""The demonstration's page: one file that needs nothing else, whose sentences follow from the numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.data import png
from jdrl_lightning.files import atomic_write

__all__ = ["findings", "markdown_table", "write_report"]


class Method(NamedTuple):
    """How the page calls a row: at full length, in a chart, and in a sentence of its own."""

    label: str
    short: str
    meaning: str


METHODS = {
    "input": Method("Blurry image", "blurry", "The blurry image itself, unchanged. What falls below it did harm."),
    "charbonnier": Method(
        "Pixel-wise",
        "pixel-wise",
        "Trained with a pixel-wise (Charbonnier) loss on the misaligned pairs as they are.",
    ),
    "prealign": Method(
        "Registered first",
        "registered",
        "Every pair first registered by one global motion of the whole frame, then trained pixel-wise. The obvious "
        "remedy, and so the baseline that counts.",
    ),
    "jdrl": Method(
        "JDRL",
        "JDRL",
        "Trained on the misaligned pairs as they are; the sharp image is warped onto the restored one by optical flow, "
        "and reblurring the restored image must give back the blurry one, which is meant to keep it in place.",
    ),
    "aligned_ceiling": Method(
        "Aligned ceiling",
        "ceiling",
        "Trained pixel-wise on truly aligned pairs, which only rendering can give: the best any method can hope for.",
    ),
}
CEILING = "aligned_ceiling"
BASES = {"input": "the blurry images", "charbonnier": "pixel-wise training"}
PICTURES = {"blurry": "Blurry image", "truth": "Truth", "sharp": "Sharp, as given", "sharp as given": "Sharp, as given"}
COLUMNS = (("psnr", "PSNR", "dB, ↑", 2), ("ssim", "SSIM", "↑", 4), ("mae", "MAE", "↓", 4))
PLACEMENT, TRAINING = ("placement_px", "Placement", "px, ↓", 3), ("seconds", "Training", "s", 0)
CROP_GAP_PX = 12  # as in the style sheet
CHART_PX = 480  # width of a chart in its own units; at that width on a page its letters have their nominal size

Curves = Mapping[str, Sequence[tuple[int, float]]]
Examples = Sequence[Mapping[str, NDArray[np.uint8]]]


def write_report(path: Path, results: Mapping[str, Any], curves: Curves, examples: Examples) -> None:
    """Write the page, whole or not at all, as one html file without scripts or anything to load.

    Args:
        path: the html file.
        results: what results.json holds.
        curves: (step, validation PSNR against the truth, dB) of each method.
        examples: titles to crops ``(H, W, 3)``, ``uint8``, in the order shown; PSNR is against ``truth``.
    """
    folder = files("jdrl_lightning.demo")
    settings = results["settings"]
    page = Template(folder.joinpath("report.html").read_text("utf-8")).substitute(
        style=folder.joinpath("report.css").read_text("utf-8") + _one_line_rule(examples),
        title="Defocus deblurring from pairs that do not line up",
        lead=escape(_lead(results)),
        cards="\n".join(_cards(results)),
        findings="\n".join(f"<li>{escape(sentence)}</li>" for sentence in findings(results)),
        table=_table(results),
        charts=_dot_chart(results) + "\n" + _curve_chart(curves),
        crops="\n".join(_example(number, crops) for number, crops in enumerate(examples, 1)),
        methods="\n".join(
            f"<dt>{escape(_label(row['method']))} <code>{escape(row['method'])}</code></dt>"
            f"<dd>{escape(METHODS[row['method']].meaning)}</dd>"
            for row in results["rows"]
            if row["method"] in METHODS
        ),
        intervals=escape(_about_intervals(results)),
        footer="\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _provenance(results, settings)),
    )
    with atomic_write(path, "w") as file:
        file.write(page)


def markdown_table(results: Mapping[str, Any]) -> str:
    """The rows as a Markdown table whose columns line up in a terminal, without a newline at the end."""
    columns = (*COLUMNS, PLACEMENT, TRAINING)
    lines = [["method", "PSNR dB", _level(results), "SSIM", "MAE", "placement px", "training s"]]
    for row in results["rows"]:
        psnr, *others = (_number(row[name], digits) for name, _, _, digits in columns)
        lines.append([row["method"].replace("|", "\\|"), psnr, _psnr_interval(results, row["method"]), *others])
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| "
        + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        + " |"
        for line in lines
    )


# Sentences ---------------------------------------------------------------------------------------------------------


def findings(results: Mapping[str, Any]) -> list[str]:
    """What the numbers say and no more: of two rows, one is above only if the interval of their difference says so."""
    psnr = {row["method"]: float(row["psnr"]) for row in results["rows"]}
    broken = [_label(name) for name, value in psnr.items() if not math.isfinite(value)]
    if broken:
        return [f"No comparison: the PSNR of {_listed(broken)} is not a finite number.", _scope(results)]
    return [
        _against_registering(results),
        _pixel_wise(psnr),
        _share(results, "gain_psnr", "input", psnr, "that the ceiling gains over them"),
        _share(results, "recovered_psnr", "charbonnier", psnr, "between that and the ceiling"),
        _placements(results),
        *_above_ceiling(psnr),
        _scope(results),
    ]


def _against_registering(results: Mapping[str, Any]) -> str:
    difference, (low, high) = results["over_prealign_db"], results["intervals"]["over_prealign_db"]
    interval = f"{_level(results)} {_signed(low)} to {_signed(high)} dB"
    if low > 0:
        return f"JDRL ends {difference:.2f} dB above registering each pair first ({interval}, which excludes zero)."
    if high < 0:
        return f"JDRL ends {-difference:.2f} dB below registering each pair first ({interval}, which excludes zero)."
    return (
        f"JDRL and registering each pair first cannot be told apart here: the difference is {_signed(difference)} dB "
        f"({interval}, which includes zero)."
    )


def _pixel_wise(psnr: Mapping[str, float]) -> str:
    difference = psnr["charbonnier"] - psnr["input"]
    start, end = "Pixel-wise training on the misaligned pairs ends", "(a difference given without an interval)."
    if abs(difference) < 0.005:
        return f"{start} level with the blurry images it was given {end}"
    if difference < 0:
        return f"{start} {-difference:.2f} dB below the blurry images it was given: worse than leaving them alone {end}"
    return f"{start} {difference:.2f} dB above the blurry images it was given {end}"


def _share(results: Mapping[str, Any], key: str, start: str, psnr: Mapping[str, float], of_what: str) -> str:
    """JDRL against ``start``, in dB and as the share ``results[key]`` of the way from there to the ceiling."""
    room, difference, base = psnr[CEILING] - psnr[start], psnr["jdrl"] - psnr[start], BASES[start]
    if room <= 0:
        return (
            f"JDRL stands {_signed(difference)} dB against {base}; the ceiling is not above {base} "
            f"({_signed(room)} dB), so a share of that way means nothing here."
        )
    share, (low, high) = results[key], results["intervals"][key]
    interval = f"{_level(results)} {_percent(low)} to {_percent(high)}"
    way = f"{_percent(share)} of the {room:.2f} dB {of_what}"
    if low > 0:
        return f"JDRL ends {difference:.2f} dB above {base}: {way} ({interval})."
    if high < 0:
        return f"JDRL ends {-difference:.2f} dB below {base}: {way} ({interval})."
    return (
        f"JDRL cannot be told apart from {base}: the difference is {_signed(difference)} dB, {way} "
        f"({interval}, which includes zero)."
    )


def _placements(results: Mapping[str, Any]) -> str:
    places = {row["method"]: row["placement_px"] for row in results["rows"]}
    others = [
        f"{_number(value, 2)} px ({METHODS[n].short})" for n, value in places.items() if n in METHODS and n != "jdrl"
    ]
    return f"The placement error is {_number(places['jdrl'], 2)} px for JDRL, against {_listed(others)}."


def _above_ceiling(psnr: Mapping[str, float]) -> Iterable[str]:
    above = [_label(name) for name, value in psnr.items() if value > psnr[CEILING]]
    if above:
        yield (
            f"Above the ceiling: {_listed(above)}. No method is expected there: the ceiling's own training fell short, "
            "or too little was measured."
        )


def _scope(results: Mapping[str, Any]) -> str:
    seed, over = results["settings"]["seed"], results["intervals"]["over"]
    return (
        f"This is one run with one seed ({seed}): the intervals say how much hangs on which {over} "
        "were measured, not how another training would end."
    )


def _about_intervals(results: Mapping[str, Any]) -> str:
    intervals = results["intervals"]
    count = f" ({intervals['count']} of them)" if "count" in intervals else ""
    text = (
        f"{_level(results)}s by resampling the {intervals['over']}{count}, the same draw for every row. Images differ "
        "more than methods do: two rows whose intervals overlap can differ clearly, which the interval of their "
        "difference shows."
    )
    if intervals["over"] == "images":
        text += " Images rendered from one photograph resemble each other, so these intervals are rather too narrow."
    return text


def _lead(results: Mapping[str, Any]) -> str:
    settings = results["settings"]
    trained = [row["method"] for row in results["rows"] if row["method"] != "input"]
    steps = f" for {settings['steps']:,} steps each" if "steps" in settings else ""
    counts = settings.get("photographs", {})
    on = f" from {counts['train']} photographs" if "train" in counts else ""
    held_out = f"{counts['test']} held-out photographs" if "test" in counts else "held-out photographs"
    return (
        f"The same small UNet was trained {_count(len(trained))} ways{steps}, on pairs of a blurry and a sharp image "
        f"rendered{on}. {_misaligned(settings)} JDRL (settings {settings['preset']}) is compared with training pixel "
        "by pixel, with registering the pairs first, and with a ceiling that trained on pairs without misalignment. "
        f"All figures are taken on {held_out} against the truth, the sharp image exactly in the blurry one's place."
    )


def _misaligned(settings: Mapping[str, Any]) -> str:
    kind = str(settings["misalignment"])
    if kind == "none":
        return "In this run the two line up."
    motion = "by a non-rigid motion" if kind == "nonrigid" else f"({kind})"
    far = f", {settings['mean_flow_px']:.1f} px on average" if "mean_flow_px" in settings else ""
    return (
        "As in pairs that a camera takes one after the other, the two do not line up: the sharp image is displaced "
        f"{motion}{far}."
    )


def _provenance(results: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "Command", settings["command"]
    yield "Seed", str(settings["seed"])
    if settings.get("photographs"):
        yield "Photographs", ", ".join(f"{number} {part}" for part, number in settings["photographs"].items())
    if settings.get("overrides"):
        yield "Overrides", " ".join(map(str, settings["overrides"]))
    yield "Device", str(settings["device"])
    yield "Versions", ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    yield "Time", f"{results['seconds']:.0f} s in all"


# Figures -----------------------------------------------------------------------------------------------------------


def _cards(results: Mapping[str, Any]) -> Iterable[str]:
    psnr = {row["method"]: float(row["psnr"]) for row in results["rows"]}
    for key, name, start in (
        ("over_prealign_db", "JDRL over registering each pair first", None),
        ("gain_psnr", "of what the ceiling gains over the blurry images, gained by JDRL", "input"),
        ("recovered_psnr", "of what misalignment costs pixel-wise training, recovered by JDRL", "charbonnier"),
    ):
        low, high = results["intervals"][key]
        verdict = "excludes zero" if low > 0 or high < 0 else "includes zero"
        if not all(map(math.isfinite, (results[key], low, high))):
            value, note = "–", "not a finite number"
        elif start is None:
            value = f"{_signed(results[key])} dB"
            note = f"{_level(results)} {_signed(low)} to {_signed(high)} dB, {verdict}"
        elif psnr[CEILING] > psnr[start]:
            value, note = _percent(results[key]), f"{_level(results)} {_percent(low)} to {_percent(high)}, {verdict}"
        else:
            value, note = "–", f"means nothing: the ceiling is not above {BASES[start]}"
        yield (
            f'<div class="card"><p class="value">{escape(value)}</p><p>{escape(name)}</p>'
            f'<p class="note">{escape(note)}</p></div>'
        )


def _table(results: Mapping[str, Any]) -> str:
    best = _best(results)
    head = "".join(
        f'<th scope="col">{escape(name)} <span class="unit">{escape(unit)}</span></th>'
        for name, unit in [("PSNR", "dB, ↑"), ("Interval", f"{_level(results).split(' i')[0]}, dB")]
        + [(name, unit) for _, name, unit, _ in (*COLUMNS[1:], PLACEMENT, TRAINING)]
    )
    body = []
    for row in results["rows"]:
        name = row["method"]
        cells = [_number(row["psnr"], 2), _psnr_interval(results, name)]
        cells += [_number(row[key], digits) for key, _, _, digits in (*COLUMNS[1:], PLACEMENT, TRAINING)]
        kind = "best" if name == best else "ceiling" if name == CEILING else ""
        tag = ' <span class="tag">best</span>' if name == best else ""
        body.append(
            f'<tr class="{f"{_css(name)} {kind}".strip()}">'
            f'<th scope="row">{escape(_label(name))}{tag}<code>{escape(name)}</code></th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    return (
        f'<p class="note" id="rows">Means over the test {escape(results["intervals"]["over"])}, against the truth. '
        "Best: the highest PSNR apart from the ceiling. ↑ more is better, ↓ less is better.</p>\n"
        '<div class="scroll" role="region" aria-labelledby="figures" tabindex="0"><table aria-describedby="rows">'
        f'<thead><tr><th scope="col">Row</th>{head}</tr></thead>\n<tbody>' + "\n".join(body) + "</tbody></table></div>"
    )


def _dot_chart(results: Mapping[str, Any]) -> str:
    """A dot and its interval for each row, name and numbers above; the axis need not begin at zero."""
    shown = [row for row in results["rows"] if math.isfinite(row["psnr"])]
    intervals = {name: ends for name, ends in results["intervals"]["psnr"].items() if all(map(math.isfinite, ends))}
    values = [row["psnr"] for row in shown] + [end for row in shown for end in intervals.get(row["method"], ())]
    if not values:
        return _chart("PSNR of each row", "", "There is no finite figure to draw.", "")
    pitch, left, right = 52, 12, CHART_PX - 12
    bottom = 12 + pitch * len(shown)
    ticks = _ticks(min(values), max(values))
    x = _scale(ticks[0], ticks[-1], left, right)
    marks = [
        f'<line class="gridline" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="8" y2="{bottom}"/>'
        f'<text class="axis" x="{x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{_tick(t, ticks)}</text>'
        for t in ticks
    ]
    base = next((row["psnr"] for row in shown if row["method"] == "input"), None)
    if base is not None:
        marks.append(f'<line class="base" x1="{x(base):.1f}" x2="{x(base):.1f}" y1="8" y2="{bottom}"/>')
    for i, row in enumerate(shown):
        name, y, value = row["method"], 12 + pitch * i + 34, row["psnr"]
        whisker = ""
        if name in intervals:
            low, high = (x(end) for end in intervals[name])
            whisker = f'<path class="whisker" d="M{low:.1f} {y - 5}v10m0 -5H{high:.1f}m0 -5v10"/>'
        words = f"{_number(value, 2)} [{_psnr_interval(results, name)}]"
        marks.append(
            f'<g class="{_css(name)}"><title>{escape(_label(name))}: {words} dB</title>'
            f'<text class="name" x="{left}" y="{y - 15}">{escape(_label(name))}</text>'
            f'<text class="words" x="{right}" y="{y - 15}" text-anchor="end">{words}</text>'
            f'{whisker}<circle class="dot" cx="{x(value):.1f}" cy="{y}" r="6"/></g>'
        )
    marks.append(
        f'<text class="axis" x="{right}" y="{bottom + 38}" text-anchor="end">PSNR against the truth, dB</text>'
    )
    caption = (
        f"The dots are means over the test {results['intervals']['over']}, the bars their {_level(results)}s, the "
        "dashed line the blurry images. Bars that overlap do not say that two rows are alike; see Intervals below."
    )
    alternative = "; ".join(f"{_label(row['method'])} {_number(row['psnr'], 2)} dB" for row in shown)
    return _chart("PSNR of each row", "".join(marks), caption, alternative, bottom + 46)


def _curve_chart(curves: Curves) -> str:
    """Validation PSNR over the steps, each curve named at its end."""
    heading = "Validation PSNR during training"
    kept = {name: [(s, v) for s, v in curve if math.isfinite(v)] for name, curve in curves.items()}
    kept = {name: curve for name, curve in kept.items() if curve}
    if not kept:
        return _chart(heading, "", "No validation figures were recorded.", "")
    left, right, top, bottom = 46, CHART_PX - 104, 12, 290
    points = [point for curve in kept.values() for point in curve]
    last = max(1, max(step for step, _ in points))
    steps = [tick for tick in _ticks(0, last, 4) if tick <= last]
    x = _scale(0, last, left, right)
    levels = _ticks(min(v for _, v in points), max(v for _, v in points))
    y = _scale(levels[0], levels[-1], bottom, top)
    marks = [
        f'<line class="gridline" x1="{left}" x2="{right}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text class="axis" x="{left - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{_tick(t, levels)}</text>'
        for t in levels
    ]
    marks += [
        f'<text class="axis" x="{x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{_tick(t, steps)}</text>'
        for t in steps
    ]
    marks.append(
        f'<text class="axis" x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">training step</text>'
        f'<text class="axis" transform="translate(11 {(top + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        "PSNR, dB</text>"
    )
    named = _spread({name: y(curve[-1][1]) for name, curve in kept.items()}, 17, top)
    for name, curve in kept.items():
        line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in curve)
        dots = "".join(
            f'<circle class="dot" cx="{x(step):.1f}" cy="{y(value):.1f}" r="3.5">'
            f"<title>{escape(_label(name))}, step {step}: {value:.2f} dB</title></circle>"
            for step, value in curve
        )
        end_x, end_y = x(curve[-1][0]), y(curve[-1][1])
        short = METHODS[name].short if name in METHODS else name
        marks.append(
            f'<g class="{_css(name)}"><polyline class="curve" points="{line}"/>{dots}<line class="leader" '
            f'x1="{end_x + 4:.1f}" y1="{end_y:.1f}" x2="{right + 10}" y2="{named[name]:.1f}"/>'
            f'<text class="name" x="{right + 13}" y="{named[name] + 4:.1f}">{escape(short)}</text></g>'
        )
    caption = "On the validation photographs, against the truth. The table has the weights of the last step."
    alternative = "; ".join(f"{_label(name)} ends at {curve[-1][1]:.2f} dB" for name, curve in kept.items())
    return _chart(heading, "".join(marks), caption, alternative, bottom + 46)


def _chart(heading: str, marks: str, caption: str, alternative: str, height: int = 0) -> str:
    drawing = ""
    if marks:
        label = escape(f"{heading}. {alternative}.")
        drawing = f'<svg viewBox="0 0 {CHART_PX} {height}" role="img" aria-label="{label}">{marks}</svg>'
    return f'<figure class="chart"><h3>{heading}</h3>{drawing}<figcaption>{escape(caption)}</figcaption></figure>'


def _tile_px(crops: Mapping[str, NDArray[np.uint8]]) -> int:
    return 2 * max(image.shape[1] for image in crops.values())


def _one_line_rule(examples: Examples) -> str:
    """On a window wide enough for all the crops of an example, they stand in one line, wider than the text."""
    if not examples:
        return ""
    width = max(_tile_px(crops) * len(crops) + CROP_GAP_PX * (len(crops) - 1) for crops in examples)
    return (
        f"@media (min-width: {width + 64}px) {{ "
        f".example {{ width: {width}px; margin-left: calc(50% - {width / 2}px); }} .crops {{ max-width: none; }} }}"
    )


def _example(number: int, crops: Mapping[str, NDArray[np.uint8]]) -> str:
    figures = []
    for title, image in crops.items():
        label = PICTURES.get(title, _label(title))
        data = base64.b64encode(png.encode(image)).decode("ascii")
        figures.append(
            f'<figure class="{_css("input" if title == "blurry" else title)}"><img src="data:image/png;base64,{data}" '
            f'width="{2 * image.shape[1]}" height="{2 * image.shape[0]}" alt="{escape(label)}, example {number}">'
            f"<figcaption><strong>{escape(label)}</strong>{_fidelity(title, image, crops.get('truth'))}</figcaption>"
            "</figure>"
        )
    return (
        f'<div class="example"><h3>Example {number}</h3>\n<div class="crops" style="--tile: {_tile_px(crops)}px">\n'
        + "\n".join(figures)
        + "\n</div></div>"
    )


def _fidelity(title: str, image: NDArray[np.uint8], truth: NDArray[np.uint8] | None) -> str:
    if title == "truth":
        return "in place"
    if truth is None or truth.shape != image.shape:
        return ""
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return f"{10 * math.log10(255**2 / error):.2f} dB" if error else "equal to the truth"


# Small things ------------------------------------------------------------------------------------------------------


def _best(results: Mapping[str, Any]) -> str | None:
    rows = [row for row in results["rows"] if row["method"] != CEILING and math.isfinite(row["psnr"])]
    return max(rows, key=lambda row: row["psnr"])["method"] if rows else None


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that enclose [low, high], about ``count`` of them and at least two."""
    step = max(high - low, 1e-2 * max(abs(high), 1)) / count
    power = 10.0 ** math.floor(math.log10(step))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [i * step for i in range(first, last + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _tick(value: float, ticks: Sequence[float]) -> str:
    return f"{value:,.{max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))}f}"


def _spread(places: Mapping[str, float], gap: float, least: float) -> dict[str, float]:
    """Move places until neighbours are ``gap`` apart: in the same order, about the same middle, from ``least`` on."""
    order = sorted(places, key=places.__getitem__)
    moved = [places[name] for name in order]
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    shift = min((sum(moved) - sum(places.values())) / len(moved), moved[0] - least)
    return {name: place - shift for name, place in zip(order, moved, strict=True)}


def _label(method: str) -> str:
    return METHODS[method].label if method in METHODS else method


def _css(method: str) -> str:
    return f"m-{method}" if method in METHODS else "m-other"


def _level(results: Mapping[str, Any]) -> str:
    return f"{_percent(results['intervals']['level'])} interval"


def _psnr_interval(results: Mapping[str, Any], method: str) -> str:
    ends = results["intervals"]["psnr"].get(method)
    return "–" if ends is None else " to ".join(_number(end, 2) for end in ends)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−") if math.isfinite(value) else "–"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%".replace("-", "−") if math.isfinite(value) else "–"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _count(number: int) -> str:
    return ("no", "one", "two", "three", "four", "five", "six")[number] if number <= 6 else str(number)
