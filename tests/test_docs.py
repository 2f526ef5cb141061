"""What the documentation points at exists: pages, headings, source files; and the drawing shows the floors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_imports import FLOORS

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = (ROOT, ROOT / "src" / "jdrl_lightning", ROOT / "tests" / "callbacks")
PLACEHOLDERS = {"X.py", "skimage/data/_fetchers.py"}


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_source_files_named_exist(page: Path) -> None:
    for name in set(re.findall(r"`([\w./]+\.py)`", page.read_text("utf-8"))) - PLACEHOLDERS:
        assert any((folder / name).is_file() for folder in FOLDERS), name


def test_the_drawing_shows_the_floors_that_are_checked() -> None:
    drawing = (ROOT / "docs" / "images" / "architecture.svg").read_text("utf-8")
    boxes = re.findall(r'<text x="[\d.]+" y="(\d+)" text-anchor="middle"[^>]*>([\w/]+)</text>', drawing)
    rows: dict[int, set[str]] = {}
    for height, name in boxes:
        rows.setdefault(int(height), set()).add(name.rstrip("/"))
    drawn = [rows[height] for height in sorted(rows, reverse=True)]
    assert drawn == [floor - {"__init__"} for floor in FLOORS]
