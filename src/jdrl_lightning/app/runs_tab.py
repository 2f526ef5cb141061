"""The second tab: curves while a training goes on, the panels it draws, figures of several runs side by side."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from jdrl_lightning.app.curves import MOST, chart
from jdrl_lightning.app.run_list import HEADLINES, curves, figures, runs
from jdrl_lightning.app.sessions import Sessions
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.app.viewer import address

__all__ = ["runs_tab", "table"]

EVERY_S = 4


def runs_tab(settings: Settings, sessions: Sessions) -> tuple[Any, list[Any], Any]:
    """Build the tab inside an open one; returns what is to be done when it is looked at, its outputs, and its clock."""
    with gr.Row():
        chosen = gr.Dropdown(
            [], multiselect=True, max_choices=MOST, label="Runs", elem_id="runs", scale=3, min_width=260
        )
        metric = gr.Dropdown([], label="Curve", elem_id="metric", allow_custom_value=True, min_width=260)
    drawing = gr.HTML("", elem_id="curves")
    numbers = gr.HTML("", elem_id="figures", apply_default_css=False)
    with gr.Row():
        run = gr.Dropdown([], label="Panels of", elem_id="panel_run", min_width=260)
        epoch = gr.Dropdown([], label="Epoch", elem_id="epoch")
    sheets = gr.HTML("", elem_id="panels")
    clock = gr.Timer(EVERY_S, active=False)

    def opened(names: list[str], one: str | None, panels_of: str | None) -> tuple[Any, ...]:
        there = runs(settings.runs)
        names = [name for name in names if name in there] or list(there)[:1]
        panels_of = panels_of if panels_of in there else next(iter(names), None)
        line = "" if there else f'<p class="line">{escape(str(settings.runs))}: no run yet</p>'
        update = gr.update(choices=list(there), value=names)
        of = gr.update(choices=list(there), value=panels_of)
        return update, _metrics(_chosen(there, names), one), of, *drawn(names, one), line or gr.skip()

    def drawn(names: list[str], one: str | None) -> tuple[Any, Any]:
        folders = _chosen(runs(settings.runs), names)
        found = _names(folders)
        return chart(folders, one if one in found else _first(found)), table(folders)

    def listed(names: list[str], one: str | None) -> Any:
        return _metrics(_chosen(runs(settings.runs), names), one)

    def epochs(name: str | None) -> Any:
        found = sorted({_epoch(file) for file in _panels(settings, name)}, reverse=True)
        return gr.update(choices=found, value=found[0] if found else None)

    def shown(name: str | None, number: int | None, request: gr.Request) -> str:
        folder = sessions.of(request.session_hash).folder
        found = [file for file in _panels(settings, name) if _epoch(file) == number]
        return "\n".join(_sheet(file, folder) for file in found) or '<p class="line">no panels</p>'

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    chosen.input(listed, [chosen, metric], metric, **quiet).then(drawn, [chosen, metric], [drawing, numbers], **quiet)
    metric.input(drawn, [chosen, metric], [drawing, numbers], **quiet)
    clock.tick(drawn, [chosen, metric], [drawing, numbers], **quiet)
    run.change(epochs, run, epoch, **quiet)
    gr.on([epoch.change, run.change], shown, [run, epoch], sheets, **quiet)
    return (opened, [chosen, metric, run]), [chosen, metric, run, drawing, numbers, sheets], clock


def table(folders: Mapping[str, Path]) -> str:
    """The runs' figures side by side, a row a metric."""
    found = {name: figures(folder) for name, folder in folders.items()}
    rows = sorted({metric for values in found.values() for metric in values if metric.startswith("val/")})
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in found)
    body = "".join(
        f"<tr><th>{escape(row)}</th>"
        + "".join(f"<td>{values[row]:.4g}</td>" if row in values else "<td>–</td>" for values in found.values())
        + "</tr>"
        for row in rows
    )
    return f'<div class="figures"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _chosen(there: Mapping[str, Path], names: Sequence[str]) -> dict[str, Path]:
    return {name: there[name] for name in names if name in there}


def _names(folders: Mapping[str, Path]) -> list[str]:
    return sorted({name for folder in folders.values() for name in curves(folder)})


def _first(found: Sequence[str]) -> str | None:
    return next((name for name in (*HEADLINES, "train/loss") if name in found), next(iter(found), None))


def _metrics(folders: Mapping[str, Path], one: str | None) -> Any:
    found = _names(folders)
    return gr.update(choices=found, value=one if one in found else _first(found)) if found else gr.skip()


def _panels(settings: Settings, name: str | None) -> list[Path]:
    there, root = runs(settings.runs), settings.runs.resolve()
    found = (there[name] / "panels").glob("epoch_[0-9]*_*.png") if name in there else ()
    return sorted(file for file in found if file.resolve().is_relative_to(root))


def _epoch(file: Path) -> int:
    return int(file.name.split("_")[1])


def _sheet(file: Path, folder: Path) -> str:
    shutil.copyfile(file, folder / file.name)
    return f'<div class="sheet"><img src="{escape(address(folder / file.name))}" alt="{escape(file.stem)}"></div>'
