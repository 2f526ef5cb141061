"""What the documentation points at exists: pages, headings, source files; and the drawing shows the floors."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from jdrl_lightning import objectives
from jdrl_lightning.cli import config as conf
from test_imports import FLOORS

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = (ROOT, ROOT / "src" / "jdrl_lightning", ROOT / "tests" / "callbacks")
CONF = Path(conf.CONF)
PLACEHOLDERS = {"X.py", "skimage/data/_fetchers.py"}


def without_code(page: Path) -> str:
    """A page's text outside its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / file).resolve() if file else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_is_a_heading_by_chance(page: Path) -> None:
    assert not re.findall(r"^#+[^\s#].*", without_code(page), re.MULTILINE)  # the site makes one of #1, too


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


def test_the_settings_for_symptoms_exist() -> None:
    """Whatever docs/symptoms.md says to type composes: single settings all at once, which is faster."""
    spans = sorted(set(re.findall(r"`([^`\n]+)`", (ROOT / "docs" / "symptoms.md").read_text("utf-8"))))
    typed = [shlex.split(span) for span in spans if "=" in span]
    assert len(typed) > 40
    choices = [words for words in typed if len(words) == 1 and (CONF / words[0].partition("=")[0]).is_dir()]
    for (choice,) in choices:  # tests/test_conf.py composes each
        assert (CONF / f"{choice.replace('=', '/')}.yaml").is_file(), choice
    single = [words[0] for words in typed if len(words) == 1 and words not in choices]
    conf.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
        composed = compose("train", ["data=folder", "data.root=x", *single])
        objectives.create(**OmegaConf.to_container(composed.objective, resolve=True))
        for words in (words for words in typed if len(words) > 1):
            first = next(place for place, word in enumerate(words) if "=" in word)
            compose("_".join(words[:first]) or "train", words[first:])


PARSE = """
import argparse, importlib, json, sys

def parse(parser, args=None, namespace=None, overrides=False):
    _, rest = known(parser, args, namespace)
    if unknown := [word for word in rest if not overrides or word.startswith("-") or "=" not in word]:
        parser.error(f"unknown: {unknown}")
    sys.exit(0)

known, argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_known_args, parse
argparse.ArgumentParser.parse_known_args = lambda *given: parse(*given, overrides=True)
for sys.argv in json.load(sys.stdin):
    try:
        importlib.import_module(sys.argv[0]).main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"the documentation prints: {' '.join(sys.argv)}")
"""


def test_benchmarks_take_the_arguments_that_the_pages_give_them() -> None:
    """Of every command that is printed; nothing of it runs."""
    commands = []
    for page in PAGES:
        text = page.read_text("utf-8")
        spans = [*re.findall(r"`([^`]+)`", text), *re.findall(r"^    (\S.*)$", text, re.MULTILINE)]
        for words in (shlex.split(span, comments=True) for span in spans if "python benchmarks/" in span):
            script, *arguments = words[words.index("python") + 1 :]
            assert (ROOT / script).is_file(), script
            if arguments:
                assert "argparse" in (ROOT / script).read_text("utf-8"), words
                commands.append([Path(script).stem, *arguments])
    assert len(commands) > 20
    command = [sys.executable, "-c", PARSE]
    done = subprocess.run(command, cwd=ROOT / "benchmarks", input=json.dumps(commands), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
