"""The README of a model that travels: what it is, what it was trained on and how, and what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from jdrl_lightning import __version__
from jdrl_lightning.errors import UserError

__all__ = ["model_card"]

_PLACE = re.compile(r"(?<![\w.:/])[/~][^\s,\]}'\"]*")  # an absolute path
TAGS = ("defocus-deblurring", "image-restoration", "jdrl")
USE = """```python
from jdrl_lightning import load

load("owner/name").restore("photo.jpg").save("restored.png")
```

    python -m jdrl_lightning.predict ckpt_path=hf:owner/name input=photos output=restored
"""


def model_card(
    parts: Mapping[str, Any],
    parameters: int,
    published: str,
    licence: str | None = None,
    run: Path | None = None,
    results: Path | None = None,
) -> str:
    """Markdown with the metadata that the hub reads; no path of this machine is in it.

    Args:
        parts: settings of the ``backbone`` and, if known, of ``objective``, ``data`` and ``seed``.
        parameters: number of the network's.
        published: licence of the network's published weights, in words.
        licence: of these weights, as the hub writes it (``apache-2.0``).
        run: folder of the training.
        results: output folder of an ``evaluate``.

    Raises:
        UserError: ``run`` or ``results`` has no readable ``summary.json``.
    """
    trained = _summary(run) if run else {}
    head = {"library_name": "jdrl_lightning", "pipeline_tag": "image-to-image", "tags": list(TAGS)}
    head |= {"license": licence} if licence else {}
    rows = dict(_rows(parts, parameters, trained, run))
    rows["licence"] = licence or "not stated by who trained it"
    rows["published weights of this network"] = published
    name = parts["backbone"]["name"]
    text = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
        f"# `{name}`, trained with jdrl_lightning {__version__}\n",
        "Restores defocused photographs.\n",
        USE,
        "| | |\n|---|---|",
        *(f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in rows.items()),
        "",
        *(_measured(_summary(results)) if results else _validated(trained)),
    ]
    return "\n".join(text).rstrip() + "\n"


def _rows(
    parts: Mapping[str, Any], parameters: int, trained: Mapping[str, Any], run: Path | None
) -> Iterator[tuple[str, str]]:
    yield "network", f"{_settings(parts['backbone'])}; {parameters:,} parameters"
    data, metrics = parts.get("data"), trained.get("metrics") or {}
    if data:
        yield "pairs", _settings({key: data[key] for key in ("name", "crop", "batch_size", "register") if key in data})
        if data.get("misalignment"):
            yield "misalignment", f"rendered: {data['misalignment']}, amplitude {data.get('amplitude', 1.0)}"
        elif metrics.get("train/flow_px") is not None:
            mean, most = metrics["train/flow_px"], metrics.get("train/flow_p95_px")
            yield (
                "misalignment",
                f"measured in training: {mean:.2f} px in the mean"
                + (f", {most:.2f} px in the 95th percentile" if most is not None else ""),
            )
    if parts.get("objective"):
        yield "objective", _settings(parts["objective"])
    if trained:
        yield "training", f"{trained['steps']:,} steps, {trained['epochs']} epochs, {trained['seconds']:.0f} s"
    if run and (run / ".hydra" / "overrides.yaml").is_file():
        given = yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text(encoding="utf-8")) or []
        yield "command", f"`python -m jdrl_lightning.train {' '.join(map(_without_place, given))}`"


def _settings(part: Mapping[str, Any]) -> str:
    """``name`` and its settings that are numbers or words: neither parts of their own nor files."""
    plain = {key: value for key, value in part.items() if isinstance(value, int | float | str) and key != "name"}
    return ", ".join([f"`{part['name']}`", *(f"{key}={_without_place(str(value))}" for key, value in plain.items())])


def _without_place(setting: str) -> str:
    """``data.root=pairs`` for ``data.root=/home/…/pairs``."""
    return _PLACE.sub(lambda place: Path(place[0]).name, setting)


def _measured(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Measured on the {found['data']}, {found['images']} images; in brackets 95 % intervals over the images:\n"
    yield "| measure | blurry | restored | difference |\n|---|---:|---:|---:|"
    spans = found.get("intervals") or {}
    for key, restored in found["restored"].items():
        blurry = found["input"].get(key)
        if restored is not None and blurry is not None:
            gained = _figure(key, restored - blurry, (spans.get("difference") or {}).get(key), "+")
            shown = _figure(key, restored, (spans.get("restored") or {}).get(key))
            yield f"| {key} | {_figure(key, blurry)} | {shown} | {gained} |"


def _validated(trained: Mapping[str, Any]) -> Iterator[str]:
    found = {k: v for k, v in (trained.get("metrics") or {}).items() if k.startswith("val/") and v is not None}
    if found:
        yield "At the end of the training, on its validation pairs, without intervals:\n"
        yield "| measure | value |\n|---|---:|"
    for key, value in found.items():
        yield f"| {key} | {_figure(key, value)} |"


def _figure(key: str, value: float, span: Any = None, sign: str = "") -> str:
    form = f"{sign}.2f" if key.endswith(("psnr", "gain")) else f"{sign}.4f"
    return f"{value:{form}}" + (f" [{span[0]:{form}}, {span[1]:{form}}]" if span else "")


def _summary(folder: Path) -> dict[str, Any]:
    file = folder / "summary.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: no summary of a run or an evaluation; give its folder") from error
    return found if isinstance(found, dict) else {}
