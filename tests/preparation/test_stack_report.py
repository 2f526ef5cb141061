"""The page loads nothing and says what was measured."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import torch

from jdrl_lightning.preparation.stack import fuse_stack
from jdrl_lightning.preparation.stack_report import pictured, write_report
from stacks import rendered

VOID = {"meta", "link", "img", "br"}


class Balanced(HTMLParser):
    """Checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_without_external_resources(photo: torch.Tensor, tmp_path: Path) -> None:
    frames = rendered(photo, (1.0, 1.02, 1.04)).frames
    stack = fuse_stack(frames, ["x/<one>.png", "x/two.png", "x/three.png"], 0)
    write_report(tmp_path / "report.html", {"tom & jerry": pictured(stack, frames, 0)})
    page = (tmp_path / "report.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "tom &amp; jerry" in page
    assert "&lt;one&gt;" in page
    assert "<one>" not in page
    assert "3 frames of 224×160 pixels" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 1 + 3 + 3 + 3  # the icon; fused, depth, mask; crops; frames
    assert all(source.startswith("data:") for source in sources)
    for frame in stack.frames:
        assert f"<td>{frame.median_px:.2f}</td><td>{frame.p95_px:.2f}</td>" in page
    assert "prefers-color-scheme: dark" in page
