"""The page served from a thread, and a browser that opens it and logs what it asks for."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning.app.settings import Settings

TILE, OVERLAP = 64, 16  # px


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Small tiles and folders of the tests' own; tests put runs and pairs there."""
    root = tmp_path_factory.mktemp("page")
    for name in ("runs", "pairs", "pairs/mine"):
        (root / name).mkdir()
    folders = (root / "runs", root / "pairs")
    return Settings(*folders, device="cpu", megapixels=1, upload_mb=4, tile=TILE, overlap=OVERLAP)


@pytest.fixture(scope="module")
def served(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address."""
    pytest.importorskip("gradio", reason="the extra app is not installed")
    import uvicorn

    from jdrl_lightning.app.server import application, listen

    app = application(settings, tmp_path_factory.mktemp("served"))
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")  # ended before other files' tests, which fork and run event loops of their own
def chromium() -> Iterator[Any]:
    """A Chromium of the system's, or of Playwright's."""
    sync = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync.sync_playwright() as started:
        named = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
        found = next(filter(None, named), started.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(served: str, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page in a new context with Playwright's settings; afterwards, nothing was asked for elsewhere."""
    asked: list[str] = []
    contexts: list[Any] = []

    def open_page(**context: Any) -> Any:
        contexts.append(chromium.new_context(**context))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served)
        page.wait_for_selector("#restore")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []


@pytest.fixture
def call(served: str) -> Callable[..., str]:
    """Calls the page's function for scripts; returns the events of the answer as text."""

    def post(path: str, data: bytes, kind: str) -> Any:
        request = urllib.request.Request(f"{served}/gradio_api/{path}", data, {"Content-Type": kind})
        return json.loads(urllib.request.urlopen(request, timeout=20).read())

    def called(*inputs: Any) -> str:
        event = post("call/restore", json.dumps({"data": inputs}).encode(), "application/json")["event_id"]
        with urllib.request.urlopen(f"{served}/gradio_api/call/restore/{event}", timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    return called


@pytest.fixture(scope="session")
def blurry(photo: torch.Tensor) -> torch.Tensor:
    """A piece of a photograph, ``(3, 96, 128)`` uint8, averaged over 3×3 pixels."""
    piece = photo[:, 60:158, 180:310].float()
    return torch.nn.functional.avg_pool2d(piece[None], 3, 1)[0].round().byte()
