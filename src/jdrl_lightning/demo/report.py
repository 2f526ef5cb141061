"""The demonstration's report: one self-contained HTML page, pictures first, whose sentences follow from the numbers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from jdrl_lightning.demo.charts import Curves, curve_chart, dot_chart
from jdrl_lightning.demo.examples import Example
from jdrl_lightning.demo.findings import findings
from jdrl_lightning.demo.maps import LONGER
from jdrl_lightning.demo.methods import METHODS, label
from jdrl_lightning.demo.side_by_side import side_by_side
from jdrl_lightning.demo.slider import slider
from jdrl_lightning.demo.story import intervals, lead, provenance, trained
from jdrl_lightning.demo.tables import cards, table
from jdrl_lightning.io.atomic import atomic_write

__all__ = ["write_report"]


def write_report(path: Path, results: Mapping[str, Any], curves: Curves, examples: Sequence[Example]) -> None:
    """Write the page atomically, as one HTML file that loads nothing and runs no script but its own.

    Args:
        path: of the HTML file.
        results: the content of results.json.
        curves: (step, validation PSNR against the truth, dB) of each method.
        examples: frames to show, in this order; the first is that of the slider.
    """
    style, script = _text("report.css"), "\n\n".join(_text(name) for name in ("report.js", "zoom.js"))
    page = Template(_text("report.html")).substitute(
        style=style,
        script=script,
        # Of what stands between the tags, so that nothing else runs.
        script_hash=base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode("ascii"),
        title="A network fitted to a lens, from pairs that do not line up",
        lead=escape(lead(results)),
        slider=slider(examples),
        cards="\n".join(cards(results)),
        trained=escape(trained(results)),
        examples=side_by_side(examples),
        longer=LONGER,
        findings="\n".join(f"<li>{escape(sentence)}</li>" for sentence in findings(results)),
        table=table(results),
        charts=dot_chart(results) + "\n" + curve_chart(curves),
        methods="\n".join(
            f"<dt>{escape(label(name))} <code>{escape(name)}</code></dt><dd>{escape(METHODS[name].meaning)}</dd>"
            for name in (row["method"] for row in results["rows"])
            if name in METHODS
        ),
        intervals=escape(intervals(results)),
        footer="\n".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in provenance(results)),
    )
    with atomic_write(path, "w") as file:
        file.write(page)


def _text(name: str) -> str:
    return files("jdrl_lightning.demo").joinpath(name).read_text("utf-8").rstrip("\n")
