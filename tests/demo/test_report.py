from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from demo.page import CURVES, Page, crops, made_up, written
from jdrl_lightning.demo.findings import findings


def test_the_page_is_well_formed_and_loads_nothing(tmp_path: Path) -> None:
    source = written(tmp_path, made_up())
    page = Page(source)
    assert "://" not in source
    assert "url(" not in source
    assert "@import" not in source
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object"}
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "srcset")]
    assert len([link for link in links if str(link).startswith("data:")]) > 7
    identifiers = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    within = {f"#{identifier}" for identifier in identifiers}
    assert all(str(link).startswith("data:") or link in within for link in links)
    for _, attrs in page.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attrs.get(key) in (None, *identifiers)


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
        "non-rigid",
    ):
        assert expected in text


def test_values_that_are_not_finite_are_reported(tmp_path: Path) -> None:
    results = made_up((23.41, 22.87, 24.02, float("nan"), 25.13))
    assert findings(results)[0] == "No comparison: the PSNR of JDRL is not a finite number."
    curves = {**CURVES, "jdrl": [(0, 20.0), (50, float("nan"))]}
    source = written(tmp_path, results, curves=curves)
    assert "nan" not in Page(source).text
    assert not [value for _, attrs in Page(source).tags for value in attrs.values() if value and "nan" in value.split()]


def test_intervals_come_with_a_caution(tmp_path: Path) -> None:
    text = Page(written(tmp_path, made_up())).text
    assert "95 % intervals by bootstrap over the 24 images" in text
    assert "Images rendered from one photograph resemble each other" in text


def test_untrusted_text_is_escaped(tmp_path: Path) -> None:
    nasty = "<b>&\"'$title</b>"
    results = made_up()
    settings = results["settings"]
    settings |= {
        "command": nasty,
        "device": nasty,
        "overrides": [nasty],
        "misalignment": nasty,
        "versions": {nasty: nasty},
    }
    settings["preset"] = nasty
    results["rows"].append({**deepcopy(results["rows"][0]), "method": nasty})
    source = written(
        tmp_path, results, curves={**CURVES, nasty: [(0, 20.0), (9, 21.0)]}, examples=[{nasty: crops()["jdrl"]}]
    )
    page = Page(source)
    assert "<b>" not in source
    assert not [tag for tag, _ in page.tags if tag == "b"]
    assert page.text.count(nasty) >= 8
    assert any(nasty in str(attrs.get("alt")) for tag, attrs in page.tags if tag == "img")
