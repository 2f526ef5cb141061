"""The demonstration's page: one file that needs nothing else, whose sentences follow from the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from jdrl_lightning.demo.charts import Curves, curve_chart, dot_chart
from jdrl_lightning.demo.findings import findings
from jdrl_lightning.demo.formatting import level, spelled
from jdrl_lightning.demo.methods import METHODS, label
from jdrl_lightning.demo.pictures import Examples, example, one_line_rule
from jdrl_lightning.demo.tables import cards, table
from jdrl_lightning.io.atomic import atomic_write

__all__ = ["write_report"]


def write_report(path: Path, results: Mapping[str, Any], curves: Curves, examples: Examples) -> None:
    """Write the page, whole or not at all, as one html file without scripts or anything to load.

    Args:
        path: the html file.
        results: what results.json holds.
        curves: (step, validation PSNR against the truth, dB) of each method.
        examples: titles to crops ``(H, W, 3)``, ``uint8``, in the order shown; PSNR is against ``truth``.
    """
    folder = files("jdrl_lightning.demo")
    page = Template(folder.joinpath("report.html").read_text("utf-8")).substitute(
        style=folder.joinpath("report.css").read_text("utf-8") + one_line_rule(examples),
        title="Defocus deblurring from pairs that do not line up",
        lead=escape(_lead(results)),
        cards="\n".join(cards(results)),
        findings="\n".join(f"<li>{escape(sentence)}</li>" for sentence in findings(results)),
        table=table(results),
        charts=dot_chart(results) + "\n" + curve_chart(curves),
        crops="\n".join(example(number, crops) for number, crops in enumerate(examples, 1)),
        methods="\n".join(
            f"<dt>{escape(label(name))} <code>{escape(name)}</code></dt><dd>{escape(METHODS[name].meaning)}</dd>"
            for name in (row["method"] for row in results["rows"])
            if name in METHODS
        ),
        intervals=escape(_about_intervals(results)),
        footer="\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _provenance(results)),
    )
    with atomic_write(path, "w") as file:
        file.write(page)


def _lead(results: Mapping[str, Any]) -> str:
    settings = results["settings"]
    trained = [row["method"] for row in results["rows"] if row["method"] != "input"]
    steps = f" for {settings['steps']:,} steps each" if "steps" in settings else ""
    counts = settings.get("photographs", {})
    on = f" from {counts['train']} photographs" if "train" in counts else ""
    held_out = f"{counts['test']} held-out photographs" if "test" in counts else "held-out photographs"
    return (
        f"The same small UNet was trained {spelled(len(trained))} ways{steps}, on pairs of a blurry and a sharp image "
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


def _about_intervals(results: Mapping[str, Any]) -> str:
    intervals = results["intervals"]
    count = f" ({intervals['count']} of them)" if "count" in intervals else ""
    text = (
        f"{level(results)}s by resampling the {intervals['over']}{count}, the same draw for every row. Images differ "
        "more than methods do: two rows whose intervals overlap can differ clearly, which the interval of their "
        "difference shows."
    )
    if intervals["over"] == "images":
        text += " Images rendered from one photograph resemble each other, so these intervals are rather too narrow."
    return text


def _provenance(results: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    settings = results["settings"]
    yield "Command", settings["command"]
    yield "Seed", str(settings["seed"])
    if settings.get("photographs"):
        yield "Photographs", ", ".join(f"{number} {part}" for part, number in settings["photographs"].items())
    if settings.get("overrides"):
        yield "Overrides", " ".join(map(str, settings["overrides"]))
    yield "Device", str(settings["device"])
    yield "Versions", ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    yield "Time", f"{results['seconds']:.0f} s in all"
