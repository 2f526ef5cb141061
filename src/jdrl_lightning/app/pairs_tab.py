"""The third tab: one's own pairs looked at before a training, and what to type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from jdrl_lightning.app import pairs
from jdrl_lightning.app.restore_tab import status
from jdrl_lightning.app.sessions import Cancelled, Sessions
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.app.viewer import script
from jdrl_lightning.errors import UserError

__all__ = ["pairs_tab"]

NONE = "Start the app with pairs=<folder of your pairs> to look at them here."


def pairs_tab(settings: Settings, sessions: Sessions, tab: gr.Tab) -> None:
    """Build the tab inside ``tab``, which is open."""
    if settings.pairs is None:
        gr.HTML(status(NONE))
        return
    root = settings.pairs
    there = pairs.folders(root)
    first = next(iter(there), None)
    splits = pairs.splits(there[first]) if first else []
    with gr.Row():
        folder = gr.Dropdown(list(there), value=first, label="Folder", elem_id="pairs_folder")
        split = gr.Dropdown(splits, value=next(iter(splits), None), label="Split", elem_id="pairs_split")
        number = gr.Number(1, minimum=1, precision=0, label="Pair", elem_id="pair")
    with gr.Row():
        go = gr.Button("Look at the pair", variant="primary", elem_id="look")
        judge = gr.Button("Doctor's verdict", elem_id="verdict")
        cancel = gr.Button("Cancel", elem_id="pairs_cancel")
    line = gr.HTML(status(f"{root}: no pairs" if first is None else ""), elem_id="pairs_line", apply_default_css=False)
    typed = gr.Textbox(label="To type", interactive=False, buttons=["copy"], visible=False, elem_id="typed")
    view = gr.HTML("", js_on_load=script(), elem_id="pairs_view", apply_default_css=False)

    def place(name: str | None) -> Path:
        found = pairs.folders(root)
        if name not in found:
            raise UserError(f"{name}: no such folder of pairs; reload the page for those there are")
        return found[name]

    def chosen(name: str | None) -> Any:
        found = pairs.splits(place(name))
        return gr.update(choices=found, value=found[0])

    def looked(name: str | None, part: str, count: int, request: gr.Request) -> tuple[str, Any]:
        session = sessions.of(request.session_hash)
        try:
            where = place(name)
            total = len(pairs.opened(where, part))
            if not 1 <= count <= total:
                raise UserError(f"pair {count}: there are {total}")
            session.empty()
            element = pairs.look(where, part, count - 1, session.folder, settings.device)
            return status(f"{name}, {part}: pair {count} of {total}"), element
        except UserError as error:
            return status(str(error), wrong=True), gr.skip()

    def judged(
        name: str | None, part: str, request: gr.Request, progress: gr.Progress = gr.Progress()  # noqa: B008
    ) -> tuple[str, Any]:  # fmt: skip
        session = sessions.of(request.session_hash)
        session.arm()

        def report(done: int, total: int) -> None:
            session.check()
            progress((done, total), desc="measuring pairs", unit="pairs")

        try:
            where = place(name)
            found = pairs.verdict(where, part, settings.device, report)
            return pairs.words(found), gr.update(value=pairs.command(where, found), visible=True)
        except Cancelled:
            return status("Cancelled."), gr.skip()
        except UserError as error:
            return status(str(error), wrong=True), gr.skip()

    def stopped(request: gr.Request) -> None:
        sessions.of(request.session_hash).stop()

    shared: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "network", "api_visibility": "private"}
    tab.select(lambda: gr.update(choices=list(pairs.folders(root))), None, folder, api_visibility="private")
    folder.input(chosen, folder, split, show_progress="hidden", api_visibility="private")
    gr.on([go.click, number.submit], looked, [folder, split, number], [line, view], show_progress_on=line, **shared)
    judge.click(judged, [folder, split], [line, typed], show_progress_on=line, **shared)
    cancel.click(stopped, queue=False, api_visibility="private")
