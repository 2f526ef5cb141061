"""The first tab: a photograph in, the restored one beside it, and as a file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from jdrl_lightning.app.models import SHIPPED, choices
from jdrl_lightning.app.restore import check_size, restore, with_strength
from jdrl_lightning.app.sessions import Cancelled, Sessions
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.app.viewer import script
from jdrl_lightning.errors import UserError

__all__ = ["one_line", "restore_tab", "status"]

STRENGTH = "(s) => { document.documentElement.style.setProperty('--strength', s / 100) }"
NONE = ""  # no second network


def restore_tab(settings: Settings, sessions: Sessions) -> Any:
    """Build the tab inside an open ``gr.Blocks``; returns what is to be done when the page is opened."""
    networks = choices(settings)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            photo = gr.File(label="Photograph: drop, choose or paste", type="filepath", elem_id="photo", height=140)
            chosen = gr.Dropdown(networks, value=SHIPPED, label="Network", elem_id="network")
            second = gr.Dropdown([("none", NONE), *networks], value=NONE, label="Compare with", elem_id="second")
            with_map = gr.Checkbox(False, label="Blur map", info="predicted, laid over the pictures")
            strength = gr.Slider(0, 100, 100, step=5, label="Strength, %", elem_id="strength")
            with gr.Row():
                go = gr.Button("Restore", variant="primary", elem_id="restore", min_width=120)
                cancel = gr.Button("Cancel", interactive=False, elem_id="cancel", min_width=120)
        with gr.Column(scale=3, min_width=320):
            line = gr.HTML(status("Your photograph stays on this computer."), elem_id="line", min_height=44)
            view = gr.HTML("", js_on_load=script(), elem_id="view", apply_default_css=False)
            with gr.Row():
                files = [
                    gr.DownloadButton(name, interactive=False, visible=number == 0, elem_id=f"download_{number}")
                    for number, name in enumerate(("Download", "Download the second"))
                ]

    def looked_at(file: str | None) -> str:
        try:
            return status(f"{Path(file).name}: {check_size(Path(file), settings.megapixels)}") if file else status("")
        except UserError as error:
            return status(one_line(error, file), wrong=True)

    def armed(request: gr.Request) -> tuple[Any, Any]:
        sessions.of(request.session_hash).arm()
        return gr.update(interactive=False), gr.update(interactive=True)

    def restored(
        file: str | None, network: str, compared: str, map: bool, percent: float, request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 — how Gradio is told to pass one
    ) -> tuple[Any, ...]:  # fmt: skip
        """Restore one photograph: what happened in a line, the page's element, and the restored files."""
        session = sessions.of(request.session_hash)
        try:
            if not file:
                raise UserError("no photograph yet: drop one, choose one or paste one")
            both = [network, compared] if compared else [network]
            shown, written = restore(
                Path(file), both, map, percent / 100, settings, session, lambda share, what: progress(share, desc=what)
            )
            return status(f"{Path(file).name}: restored"), shown, *_offered(written)
        except Cancelled:
            return status("Cancelled."), gr.skip(), *_offered([])
        except UserError as error:
            return status(one_line(error, file), wrong=True), gr.skip(), *_offered([])
        finally:
            session.arm()

    def stopped(request: gr.Request) -> None:
        sessions.of(request.session_hash).stop()

    def blended(file: str | None, percent: float, request: gr.Request) -> tuple[Any, ...]:
        try:
            written = with_strength(Path(file), percent / 100, sessions.of(request.session_hash)) if file else []
            text = f"{Path(file).name}: restored, strength {percent:g} %" if file and written else None
            return status(text) if text else gr.skip(), *_offered(written)
        except UserError as error:
            return status(one_line(error, file), wrong=True), *_offered([])

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    photo.change(looked_at, photo, line, **private)
    inputs = [photo, chosen, second, with_map, strength]
    armed_now = go.click(armed, None, [go, cancel], queue=False, **private)
    done = armed_now.then(
        restored, inputs, [line, view, *files], api_name="restore", show_progress_on=line, concurrency_limit=1,
        concurrency_id="network",
    )  # fmt: skip
    done.then(lambda: (gr.update(interactive=True), gr.update(interactive=False)), None, [go, cancel], **private)
    cancel.click(stopped, queue=False, **private)
    strength.input(None, strength, js=STRENGTH)
    strength.change(blended, [photo, strength], [line, *files], trigger_mode="always_last", **private)
    return lambda: (gr.update(choices=choices(settings)), gr.update(choices=[("none", NONE), *choices(settings)])), [
        chosen,
        second,
    ]


def status(text: str, wrong: bool = False) -> str:
    """A line of the page, which screen readers say."""
    return f'<p class="line{" wrong" if wrong else ""}" role="{"alert" if wrong else "status"}">{escape(text)}</p>'


def one_line(error: UserError, file: str | None) -> str:
    """An error without where the upload lies on the server."""
    return str(error).replace(str(file), Path(file).name) if file else str(error)


def _offered(written: list[Path]) -> tuple[Any, Any]:
    shown = [gr.update(value=str(file), interactive=True, visible=True) for file in written]
    absent = [gr.update(value=None, interactive=False, visible=number == 0) for number in range(len(written), 2)]
    first, second = shown + absent
    return first, second
