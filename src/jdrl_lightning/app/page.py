"""The page: its tabs, its typeface, and what happens when it is opened and closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from jdrl_lightning.app.pairs_tab import pairs_tab
from jdrl_lightning.app.restore_tab import restore_tab
from jdrl_lightning.app.runs_tab import runs_tab
from jdrl_lightning.app.sessions import Sessions
from jdrl_lightning.app.settings import Settings

__all__ = ["page", "theme"]

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
KEPT_S = 3600  # how long uploads are kept
WAITING = 100


def page(settings: Settings, root: Path) -> gr.Blocks:
    """The page as Gradio's object, with its queue.

    Args:
        root: existing folder for the visitors' files.
    """
    sessions = Sessions(root)
    with gr.Blocks(
        title="jdrl_lightning", delete_cache=(KEPT_S // 6, KEPT_S), analytics_enabled=False, fill_width=True
    ) as blocks:
        with gr.Tab("Restore", id="restore") as first:
            opened, outputs = restore_tab(settings, sessions)
        with gr.Tab("Runs", id="runs") as second:
            (followed, inputs), shown, clock = runs_tab(settings, sessions)
        with gr.Tab("Pairs", id="pairs") as third:
            pairs_tab(settings, sessions, third)
        blocks.load(opened, None, outputs, **QUIET)
        for other in (first, third):
            other.select(lambda: gr.Timer(active=False), None, clock, **QUIET)
        second.select(followed, inputs, shown, **QUIET)
        second.select(lambda: gr.Timer(active=True), None, clock, **QUIET)

        def closed(request: gr.Request) -> None:
            sessions.close(request.session_hash)

        blocks.unload(closed)
    blocks.queue(max_size=WAITING, api_open=False)
    blocks.state_session_capacity = sessions.most
    return blocks


def theme() -> Any:
    """Gradio's default in the system's typeface: nothing is fetched for it."""
    return gr.themes.Default(font=list(FONTS), font_mono=list(MONO))
