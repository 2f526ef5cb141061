"""The demonstration's report: one self-contained HTML page whose sentences follow from the numbers."""

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
    """Write the page atomically, as one HTML file without scripts or external resources.

    Args:
        path: of the HTML file.
        results: the content of results.json.
        curves: (step, validation PSNR against the truth, dB) of each method.
        examples: crops ``(H, W, 3)``, ``uint8``, by title, in the order shown; PSNR is against ``truth``.
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
    counts = settings["photographs"]
    return (
        f"The same small UNet was trained in {spelled(len(trained))} ways for {settings['steps']:,} steps each, on "
        f"pairs of a blurry and a sharp image rendered from {counts['train']} photographs. {_misaligned(settings)} "
        f"JDRL (settings {settings['preset']}) is compared with pixel-wise training, with registering the pairs first, "
        "and with an upper bound trained on pairs without misalignment. All measures are taken on "
        f"{counts['test']} held-out photographs against the truth, the sharp image exactly in the blurry one's place."
    )


def _misaligned(settings: Mapping[str, Any]) -> str:
    kind = str(settings["misalignment"])
    if kind == "none":
        return "In this run the two are aligned."
    motion = "by a non-rigid motion" if kind == "nonrigid" else f"({kind})"
    return (
        "As in pairs that a camera takes one after the other, the two are misaligned: the sharp image is displaced "
        f"{motion}, {settings['mean_flow_px']:.1f} px on average."
    )


def _about_intervals(results: Mapping[str, Any]) -> str:
    intervals = results["intervals"]
    return (
        f"{level(results)}s by bootstrap over the {intervals['count']} {intervals['over']}, the same draw for every "
        "row. Images differ more than methods do: two rows whose intervals overlap can differ clearly, as the interval "
        "of their difference shows. Images rendered from one photograph resemble each other, so these intervals are "
        "somewhat too narrow."
    )


def _provenance(results: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    settings = results["settings"]
    yield "Command", settings["command"]
    yield "Seed", str(settings["seed"])
    yield "Photographs", ", ".join(f"{number} {part}" for part, number in settings["photographs"].items())
    if settings["overrides"]:
        yield "Overrides", " ".join(map(str, settings["overrides"]))
    yield "Device", str(settings["device"])
    yield "Versions", ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    yield "Time", f"{results['seconds']:.0f} s in total"
