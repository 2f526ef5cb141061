from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest

from demo.page import CURVES, Page, example, made_up, written
from jdrl_lightning.demo.findings import findings


def test_the_page_is_well_formed_and_loads_nothing(tmp_path: Path) -> None:
    source = written(tmp_path, made_up())
    page = Page(source)
    assert "://" not in source
    assert "url(" not in source
    assert "@import" not in source
    assert not {tag for tag, _ in page.tags} & {"iframe", "object", "embed", "base", "form"}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "srcset")]
    assert len([link for link in links if str(link).startswith("data:")]) > 7
    identifiers = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    assert len(identifiers) > 5
    within = {f"#{identifier}" for identifier in identifiers}
    assert all(str(link).startswith("data:") or link in within for link in links)
    for _, attrs in page.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attrs.get(key) in (None, *identifiers)


def test_only_its_own_script_runs(tmp_path: Path) -> None:
    source = written(tmp_path, made_up())
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.S)
    assert source.count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (attrs for _, attrs in Page(source).tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    for loading in ("fetch(", "XMLHttpRequest", "import(", "innerHTML", "eval("):
        assert loading not in script


@pytest.mark.skipif(not shutil.which("node"), reason="needs a parser of JavaScript")
def test_the_script_is_javascript(tmp_path: Path) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", written(tmp_path, made_up()), re.S)
    (tmp_path / "one.js").write_text(script)
    subprocess.run(["node", "--check", tmp_path / "one.js"], check=True, timeout=60)


def test_what_the_script_looks_for_is_there(tmp_path: Path) -> None:
    source = written(tmp_path, made_up())
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.S)
    page = Page(source)
    classes = {name for _, attrs in page.tags for name in str(attrs.get("class")).split()}
    wanted = set(re.findall(r'querySelector(?:All)?\("\.([\w-]+)', script))
    assert {"slider", "stage", "divider", "example", "together", "view"} <= wanted <= classes
    assert {attrs["data-side"] for _, attrs in page.tags if "data-side" in attrs} == {"left", "right", "frame"}
    assert {attrs["data-zoom"] for _, attrs in page.tags if "data-zoom" in attrs} == {"in", "out", "whole"}
    assert {attrs["data-example"] for _, attrs in page.tags if "data-example" in attrs} == {"1"}


def test_pictures_come_before_figures(tmp_path: Path) -> None:
    tags = [tag for tag, _ in Page(written(tmp_path, made_up())).tags]
    assert tags.index("input") < tags.index("table")
    assert tags.index("img") < tags.index("h2")
    assert max(i for i, tag in enumerate(tags) if tag == "img") < tags.index("table")


def test_page_without_examples(tmp_path: Path) -> None:
    page = Page(written(tmp_path, made_up(), examples=[]))
    assert not {"img", "input"} & {tag for tag, _ in page.tags}
    assert "+0.59 dB" in page.text


def test_page_holds_every_method_and_number(tmp_path: Path) -> None:
    results = made_up()
    text = Page(written(tmp_path, results)).text
    for row in results["rows"]:
        low, high = results["intervals"]["psnr"][row["method"]]
        for expected in (
            row["method"],
            f"{row['psnr']:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{row['ssim']:.4f}",
            f"{row['mae']:.4f}",
            f"{row['placement_px']:.3f}",
            f"{row['seconds']:.0f}",
        ):
            assert expected in text
    for expected in (
        "+0.59 dB",
        "+0.66 dB",
        "−1.08 dB",
        "70 %",
        "77 %",
        "1,230 steps",
        "3.4 px",
        "9 train, 2 val, 4 test",
        "412 s in total",
        "make demo",
    ):
        assert expected in text
    for expected in (
        "x86_64",
        "torch 2.14.1",
        "seed (7)",
        "trained in four ways",
        "4 held-out photographs",
        "focus stack",
        "mirror lens",
    ):
        assert expected in text


def test_values_that_are_not_finite_are_reported(tmp_path: Path) -> None:
    results = made_up((23.41, 22.87, 24.02, float("nan"), 25.13))
    assert findings(results)[0] == "No comparison: the PSNR of JDRL is not a finite number."
    curves = {**CURVES, "jdrl": [(0, 20.0), (50, float("nan"))]}
    source = written(tmp_path, results, curves=curves)
    assert "nan" not in Page(source).text
    assert not [value for _, attrs in Page(source).tags for value in attrs.values() if value and "nan" in value.split()]


def test_untrusted_text_is_escaped(tmp_path: Path) -> None:
    nasty = "<b>&\"'$title</b>"
    results = made_up()
    settings = results["settings"]
    settings |= {
        "command": nasty,
        "device": nasty,
        "overrides": [nasty],
        "misalignment": nasty,
        "camera": nasty,
        "backbone": nasty,
        "versions": {nasty: nasty},
    }
    settings["preset"] = nasty
    results["rows"].append({**deepcopy(results["rows"][0]), "method": nasty})
    shown = example()
    shown = shown._replace(
        pictures={**shown.pictures, nasty: shown.pictures["jdrl"]}, shifts={nasty: shown.shifts["jdrl"]}
    )
    source = written(tmp_path, results, curves={**CURVES, nasty: [(0, 20.0), (9, 21.0)]}, examples=[shown])
    page = Page(source)
    assert "<b>" not in source
    assert not [tag for tag, _ in page.tags if tag == "b"]
    assert page.text.count(nasty) >= 8
    assert any(nasty in str(attrs.get("alt")) for tag, attrs in page.tags if tag == "img")
