"""Serve the page: local by default, nothing fetched from elsewhere, nothing left behind."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jdrl_lightning.app.settings import Settings
from jdrl_lightning.errors import UserError

__all__ = ["application", "listen", "serve"]

log = logging.getLogger(__name__)

LOCAL = ("127.0.0.1", "localhost", "::1")
# Gradio's own scripts compile the elements' templates, hence unsafe-eval.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' blob: data:; frame-ancestors 'none'; form-action 'self'"
)


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until Ctrl-C; uploads and restored files lie in a temporary folder that is deleted then.

    Raises:
        UserError: see :func:`listen`.
    """
    with tempfile.TemporaryDirectory(prefix="jdrl-app-") as root:
        app = application(settings, Path(root), local=host in LOCAL)
        import uvicorn

        listening = listen(host, port)
        if host not in LOCAL:
            log.warning("host=%s: whoever reaches this computer can use the page; it asks for no password", host)
        log.info("http://%s:%d  (Ctrl-C ends it)", host, listening.getsockname()[1])
        uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)).run(sockets=[listening])


def application(settings: Settings, root: Path, local: bool = True) -> Any:
    """The page as an ASGI application.

    Args:
        root: existing folder, for uploads and what is made of them: the only files that it hands out.
        local: refuse requests under another name than this computer's own, as of a site whose name leads here.
    """
    os.environ |= {"GRADIO_TEMP_DIR": str(root), "GRADIO_ANALYTICS_ENABLED": "False"}
    import gradio as gr
    from fastapi import FastAPI, Request, Response
    from gradio import processing_utils

    from jdrl_lightning.app.page import page, theme

    # Gradio fetches a picture whose "path" is a web address; nothing here asks for that.
    for name in ("ssrf_protected_download", "async_ssrf_protected_download", "async_ssrf_protected_get"):
        assert hasattr(processing_utils, name), name
        setattr(processing_utils, name, _refuse)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        if path.startswith(("/gradio_api/proxy=", "/gradio_api/file=http")):
            return Response("not fetched from elsewhere", 403)
        if local and request.url.hostname not in LOCAL:
            return Response("only for this computer", 403)
        response = await go_on(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    sessions = root / "sessions"
    sessions.mkdir()
    blocks, source = page(settings, sessions), files("jdrl_lightning.app")
    # Only launch() sets them; without the first Gradio takes any path of this computer for an upload.
    blocks.has_launched = blocks.is_running = True
    return gr.mount_gradio_app(
        app, blocks, path="/", footer_links=[], run_history=False, ssr_mode=False,
        enable_monitoring=False, pwa=False, max_file_size=settings.upload_mb * 10**6, theme=theme(),
        css=source.joinpath("page.css").read_text("utf-8"),
        head=f"<script>{source.joinpath('paste.js').read_text('utf-8')}</script>",
    )  # fmt: skip


def _refuse(*_: Any, **__: Any) -> Any:
    raise UserError("a web address is not fetched: give a file")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket of that address; ``port`` 0 is any that is free.

    Raises:
        UserError: it cannot be had.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # who comes before the server runs waits
    except OSError as error:
        raise UserError(f"host={host} port={port}: cannot be used ({error.strerror}); give another port=…") from error
    return listening
