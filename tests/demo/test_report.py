from __future__ import annotations

import base64
import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.data import astronaut
from skimage.io import imread
from skimage.metrics import peak_signal_noise_ratio

from jdrl_lightning.demo.report import findings, markdown_table, write_report

VOID = {"meta", "link", "img", "br", "hr", "input"}
METHODS = ("input", "charbonnier", "prealign", "jdrl", "aligned_ceiling")
CURVES = {name: [(0, 20.0), (50, 21.5), (100, 22.0 + i / 4)] for i, name in enumerate(METHODS[1:])}


def made_up(psnr: tuple[float, ...] = (23.41, 22.87, 24.02, 24.61, 25.13), half_width: float = 0.25) -> dict[str, Any]:
    """Results whose ratios follow from the PSNR of ``METHODS``; their intervals are ``half_width`` dB to each side."""
    blurry, pixel_wise, registered, jdrl, ceiling = psnr

    def ratio(start: float, way: float) -> tuple[float, list[float]]:
        way = way or float("nan")
        value, half = (jdrl - start) / way, abs(half_width / way)
        return value, [value - half, value + half]

    gain, gain_ends = ratio(blurry, ceiling - blurry)
    recovered, recovered_ends = ratio(pixel_wise, ceiling - pixel_wise)
    over = jdrl - registered
    return {
        "rows": [
            {
                "method": name,
                "psnr": value,
                "ssim": 0.7012 + 0.03 * i,
                "mae": 0.0456 - 0.003 * i,
                "placement_px": 0.907 - 0.113 * i,
                "seconds": 17.0 * i,
            }
            for i, (name, value) in enumerate(zip(METHODS, psnr, strict=True))
        ],
        "gain_psnr": gain,
        "over_prealign_db": over,
        "recovered_psnr": recovered,
        "intervals": {
            "over": "photographs",
            "level": 0.95,
            "psnr": {name: [value - 0.83, value + 0.91] for name, value in zip(METHODS, psnr, strict=True)},
            "over_prealign_db": [over - half_width, over + half_width],
            "recovered_psnr": recovered_ends,
            "gain_psnr": gain_ends,
        },
        "seconds": 412.3,
        "settings": {
            "seed": 7,
            "steps": 1230,
            "preset": "jdrl_robust",
            "misalignment": "nonrigid",
            "mean_flow_px": 3.4,
            "photographs": {"train": 9, "val": 2, "test": 4},
            "command": "make demo",
            "device": "x86_64",
            "versions": {"jdrl_lightning": "0.1.0", "torch": "2.14.1"},
        },
    }


def crops() -> dict[str, Any]:
    truth = astronaut()[100:116, 200:224]
    noise = np.random.default_rng(0).integers(-9, 10, truth.shape)
    noisy = np.clip(truth.astype(int) + noise, 0, 255).astype(np.uint8)
    titles = ("blurry", "sharp as given", "charbonnier", "prealign", "jdrl", "aligned_ceiling")
    return {**dict.fromkeys(titles, noisy), "truth": truth}


class Page(HTMLParser):
    """Refuses tags that do not match, and collects text, attributes and tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())  # a no-break space becomes a space too


def written(folder: Path, results: dict[str, Any], curves: Any = None, examples: Any = None) -> str:
    path = folder / "new" / "report.html"
    write_report(path, results, CURVES if curves is None else curves, [crops()] if examples is None else examples)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text("utf-8")


def said(results: dict[str, Any]) -> str:
    return " ".join(" ".join(findings(results)).split())


def test_page_is_balanced_and_loads_nothing(tmp_path: Path) -> None:
    source = written(tmp_path, made_up())
    page = Page(source)
    assert "://" not in source
    assert "url(" not in source
    assert "@import" not in source
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object"}
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "srcset")]
    assert len(links) > 7
    assert all(str(link).startswith("data:") for link in links)
    identifiers = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
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
        "412 s",
        "make demo",
    ):
        assert expected in text
    for expected in ("x86_64", "torch 2.14.1", "seed (7)", "trained four ways", "4 held-out photographs", "non-rigid"):
        assert expected in text


def test_pictures_are_the_crops_described_and_measured(tmp_path: Path) -> None:
    page = Page(written(tmp_path, made_up()))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    shown = crops()
    assert len(images) == len(shown)
    for attrs, picture in zip(images, shown.values(), strict=True):
        assert attrs["alt"]
        assert (attrs["width"], attrs["height"]) == ("48", "32")
        (tmp_path / "one.png").write_bytes(base64.b64decode(str(attrs["src"]).removeprefix("data:image/png;base64,")))
        np.testing.assert_array_equal(imread(tmp_path / "one.png"), picture)
    assert f"{peak_signal_noise_ratio(shown['truth'], shown['jdrl']):.2f} dB" in page.text


def test_pictures_without_a_truth_or_equal_to_it(tmp_path: Path) -> None:
    truth = crops()["truth"]
    page = Page(written(tmp_path, made_up(), examples=[{"jdrl": truth, "truth": truth}, {"blurry": truth}]))
    assert "equal to the truth" in page.text
    assert "inf" not in page.text.split("What it looks like")[1].split("How to read")[0]


def test_table_has_headers_and_marks_the_best_row_apart_from_the_ceiling(tmp_path: Path) -> None:
    def best(results: dict[str, Any]) -> str:
        source = written(tmp_path, results)
        (row,) = re.findall(r'<tr class="[^"]*\bbest\b[^"]*">.*?</tr>', source)
        assert row.count("best</span>") == 1
        return re.findall(r"<code>(.*?)</code>", row)[0]

    page = Page(written(tmp_path, made_up()))
    assert [attrs.get("scope") for tag, attrs in page.tags if tag == "th"] == ["col"] * 7 + ["row"] * 5
    assert best(made_up()) == "jdrl"
    assert best(made_up((23.4, 22.9, 24.6, 24.0, 25.1))) == "prealign"
    assert best(made_up((25.4, 22.9, 24.6, 24.0, 25.6))) == "input"


@pytest.mark.parametrize(
    ("jdrl", "half_width", "expected"),
    [
        (
            24.61,
            0.25,
            "JDRL ends 0.59 dB above registering each pair first (95 % interval +0.34 to +0.84 dB, which excl",
        ),
        (
            24.61,
            0.75,
            "cannot be told apart here: the difference is +0.59 dB (95 % interval −0.16 to +1.34 dB, which inc",
        ),
        (23.91, 0.25, "cannot be told apart here: the difference is −0.11 dB"),
        (
            23.52,
            0.25,
            "JDRL ends 0.50 dB below registering each pair first (95 % interval −0.75 to −0.25 dB, which excl",
        ),
    ],
)
def test_registering_is_beaten_only_if_the_interval_says_so(jdrl: float, half_width: float, expected: str) -> None:
    assert expected in said(made_up((23.41, 22.87, 24.02, jdrl, 25.13), half_width))


@pytest.mark.parametrize(
    ("pixel_wise", "expected"),
    [
        (22.87, "ends 0.54 dB below the blurry images it was given: worse than leaving them alone"),
        (23.71, "ends 0.30 dB above the blurry images it was given ("),
        (23.412, "ends level with the blurry images"),
    ],
)
def test_pixel_wise_training_is_called_worse_where_it_is(pixel_wise: float, expected: str) -> None:
    assert expected in said(made_up((23.41, pixel_wise, 24.02, 24.61, 25.13)))


@pytest.mark.parametrize(
    ("jdrl", "over_blurry", "over_pixel_wise"),
    [
        (
            24.61,
            "JDRL ends 1.20 dB above the blurry images: 70 % of the 1.72 dB",
            "ends 1.74 dB above pixel-wise training",
        ),
        (23.31, "cannot be told apart from the blurry images: the difference is −0.10 dB", "0.44 dB above pixel-wise"),
        (22.41, "JDRL ends 1.00 dB below the blurry images: −58 % of the 1.72 dB", "0.46 dB below pixel-wise training"),
    ],
)
def test_shares_follow_sign_and_interval(jdrl: float, over_blurry: str, over_pixel_wise: str) -> None:
    text = said(made_up((23.41, 22.87, 24.02, jdrl, 25.13)))
    assert over_blurry in text
    assert over_pixel_wise in text


def test_no_share_of_a_way_that_leads_down(tmp_path: Path) -> None:
    results = made_up((23.41, 22.87, 24.02, 24.61, 23.0))
    text = said(results)
    assert "the ceiling is not above the blurry images (−0.41 dB), so a share of that way means nothing here" in text
    assert "Above the ceiling: Blurry image, Registered first and JDRL." in text
    assert "means nothing: the ceiling is not above the blurry images" in Page(written(tmp_path, results)).text
    assert "Above the ceiling" not in said(made_up())


def test_figures_that_are_not_finite_are_said_to_be_so(tmp_path: Path) -> None:
    results = made_up((23.41, 22.87, 24.02, float("nan"), 25.13))
    assert findings(results)[0] == "No comparison: the PSNR of JDRL is not a finite number."
    curves = {**CURVES, "jdrl": [(0, 20.0), (50, float("nan"))]}
    source = written(tmp_path, results, curves=curves)
    assert "nan" not in Page(source).text
    assert not [value for _, attrs in Page(source).tags for value in attrs.values() if value and "nan" in value.split()]


def test_intervals_over_images_come_with_a_caution(tmp_path: Path) -> None:
    results = made_up()
    caution = "Images rendered from one photograph resemble each other"
    assert caution not in Page(written(tmp_path, results)).text
    results["intervals"]["over"] = "images"
    assert caution in Page(written(tmp_path, results)).text


def test_what_is_written_in_is_escaped(tmp_path: Path) -> None:
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


def test_charts_stay_inside_their_frame_and_keep_the_order_of_values(tmp_path: Path) -> None:
    results = made_up()
    together = {
        name: [(0, 20.0), (100, 21.99 + i / 300)] for i, name in enumerate(METHODS[1:])
    }  # ends at the upper edge
    source = written(tmp_path, results, curves=together)
    dots, curves = re.findall(r"<svg .*?</svg>", source, flags=re.DOTALL)
    places = [float(x) for x in re.findall(r'cx="([-\d.]+)"', dots)]
    assert np.argsort(places).tolist() == np.argsort([row["psnr"] for row in results["rows"]]).tolist()
    for svg in (dots, curves):
        width, height = (float(v) for v in re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
        for axis, limit in (("x", width), ("y", height)):
            found = [float(v) for v in re.findall(rf' c?{axis}[12]?="([-\d.]+)"', svg)]
            assert found
            assert 0 <= min(found) <= max(found) <= limit
    heights = [float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', curves)]
    assert len(heights) == 4
    assert min(heights) > 10
    assert np.diff(np.sort(heights)).min() > 15  # names of curves that end together do not cover each other


def test_nothing_to_draw(tmp_path: Path) -> None:
    text = Page(written(tmp_path, made_up(), curves={"jdrl": []}, examples=[])).text
    assert "No validation figures were recorded." in text
    Page(written(tmp_path, made_up((20.0,) * 5), curves={"jdrl": [(0, 20.0)]}))


def test_results_with_fewer_settings_make_a_page_too(tmp_path: Path) -> None:
    results = json.loads(json.dumps(made_up()))
    for key in ("steps", "mean_flow_px", "photographs"):
        del results["settings"][key]
    assert "held-out photographs" in Page(written(tmp_path, results)).text


def test_markdown_table_lines_up_and_holds_the_rows() -> None:
    lines = markdown_table(made_up()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(METHODS)
    assert [cell.strip() for cell in lines[5].split("|")[2:-1]] == [
        "24.61",
        "23.78 to 25.52",
        "0.7912",
        "0.0366",
        "0.568",
        "51",
    ]
