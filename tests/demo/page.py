"""Made-up results, their report, and a strict parser for it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from skimage.data import astronaut

from jdrl_lightning.demo.examples import Example
from jdrl_lightning.demo.report import write_report

VOID = {"meta", "link", "img", "br", "hr", "input"}
METHODS = ("input", "shipped", "charbonnier", "prealign", "jdrl", "aligned_ceiling")
CURVES = {name: [(0, 20.0), (50, 21.5), (100, 22.0 + i / 4)] for i, name in enumerate(METHODS[2:])}


def made_up(
    psnr: tuple[float, ...] = (23.41, 22.87, 24.02, 24.61, 25.13), half_width: float = 0.25, shipped: float = 23.95
) -> dict[str, Any]:
    """Results whose ratios follow from the PSNR of ``METHODS`` but for the shipped, with ± ``half_width`` dB."""
    blurry, pixel_wise, registered, jdrl, ceiling = psnr
    each = dict(zip(METHODS, (blurry, shipped, pixel_wise, registered, jdrl, ceiling), strict=True))

    def ratio(start: float, way: float) -> tuple[float, list[float]]:
        way = way or float("nan")
        value, half = (jdrl - start) / way, abs(half_width / way)
        return value, [value - half, value + half]

    gain, gain_ends = ratio(blurry, ceiling - blurry)
    recovered, recovered_ends = ratio(pixel_wise, ceiling - pixel_wise)
    over, over_shipped = jdrl - registered, jdrl - shipped
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
            for i, (name, value) in enumerate(each.items())
        ],
        "gain_psnr": gain,
        "over_prealign_db": over,
        "over_shipped_db": over_shipped,
        "recovered_psnr": recovered,
        "intervals": {
            "over": "images",
            "count": 24,
            "level": 0.95,
            "psnr": {name: [value - 0.83, value + 0.91] for name, value in each.items()},
            "over_prealign_db": [over - half_width, over + half_width],
            "over_shipped_db": [over_shipped - half_width, over_shipped + half_width],
            "recovered_psnr": recovered_ends,
            "gain_psnr": gain_ends,
        },
        "seconds": 412.3,
        "settings": {
            "seed": 7,
            "overrides": [],
            "steps": 1230,
            "preset": "jdrl_robust",
            "backbone": "compact",
            "camera": "mirror",
            "misalignment": "stack",
            "mean_flow_px": 3.4,
            "photographs": {"train": 9, "val": 2, "test": 4},
            "command": "make demo",
            "device": "x86_64",
            "versions": {"jdrl_lightning": "0.1.0", "torch": "2.14.1"},
        },
    }


def example() -> Example:
    """16 px high, 24 wide: each picture with a noise of its own, a blur that grows downwards, a shift of (3, −4) px."""
    truth = astronaut()[100:116, 200:224]
    random = np.random.default_rng(0)
    keys = ("blurry", "sharp as given", *METHODS[1:])
    noisy = {key: (truth + random.integers(-9, 10, truth.shape)).clip(0, 255).astype(np.uint8) for key in keys}
    rows = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None] / 4, (16, 24))
    shift = np.stack([np.full((16, 24), size, np.float32) for size in (3, -4)])
    return Example({**noisy, "truth": truth}, {"predicted": rows + 1, "truth": rows}, {"jdrl": shift}, 7.8)


class Page(HTMLParser):
    """Rejects unbalanced tags and duplicate attributes; collects text, attributes and tags."""

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
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())  # a no-break space becomes a space too


def written(folder: Path, results: dict[str, Any], curves: Any = None, examples: Any = None) -> str:
    path = folder / "new" / "report.html"
    write_report(path, results, CURVES if curves is None else curves, [example()] if examples is None else examples)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text("utf-8")
