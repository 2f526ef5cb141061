"""Earlier evaluations, read back from their folders; what is there is not trusted."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.errors import UserError, and_more, first_line

__all__ = ["Run", "as_given", "check_alike", "read_run"]


class Run(NamedTuple):
    """An evaluation.

    Attributes:
        name: its title, or its folder's name.
        folder: of its files.
        facts: summary.json.
        images: names, in the order of the data set.
        columns: figures by method (``input``, ``restored``) and measure, one for each image; a measure that is missing
            for an image is left out.
    """

    name: str
    folder: Path
    facts: dict[str, Any]
    images: list[str]
    columns: dict[str, dict[str, NDArray[np.float64]]]


def read_run(folder: Path) -> Run:
    """Read per_image.csv and summary.json.

    Raises:
        UserError: one of them is missing or not what an evaluation writes.
    """
    table, facts_file = folder / "per_image.csv", folder / "summary.json"
    for path in (table, facts_file):
        if not path.is_file():
            raise UserError(f"{path}: no such file; give compare=[…] the output folders of earlier evaluations")
    try:
        facts = json.loads(facts_file.read_text(encoding="utf-8"))
        protocol, digest, title = facts["protocol"], facts["digest"], facts["title"]
        whole = isinstance(protocol, dict) and isinstance(digest, str) and isinstance(title, str)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{facts_file}: not a summary that evaluate writes now; evaluate that run again")
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        images = [row["name"] for row in rows if row["method"] == "restored"]
        columns = {method: _columns(rows, method, images) for method in ("input", "restored")}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(
            f"{table}: not a table that evaluate writes ({first_line(error)}); evaluate that run again"
        ) from error
    return Run(title or folder.absolute().name, folder, facts, images, columns)


def _columns(rows: Sequence[dict[str, str]], method: str, images: list[str]) -> dict[str, NDArray[np.float64]]:
    mine = [row for row in rows if row["method"] == method]
    if not images or [row["name"] for row in mine] != images or len(set(images)) != len(images):
        raise ValueError(f"its {method} rows are not one for each image")
    if any(None in row or None in row.values() for row in mine):
        raise ValueError("its rows differ in length")
    measures = [key for key in mine[0] if key not in ("method", "name")]
    full = [key for key in measures if all(row[key] for row in mine)]
    return {key: np.array([float(row[key]) for row in mine]) for key in full}


def check_alike(runs: Sequence[Run]) -> None:
    """Refuse runs whose figures cannot be compared with those of the first.

    Raises:
        UserError: other images, or another protocol; names the first difference.
    """
    first = runs[0]
    for run in runs[1:]:
        if set(run.images) != set(first.images):
            odd = sorted(set(run.images) ^ set(first.images))
            raise UserError(f"{run.folder} and {first.folder}: other images, only one has {and_more(odd, 1)}")
        if run.facts["digest"] != first.facts["digest"]:
            raise UserError(
                f"{run.folder} and {first.folder}: images of the same names, but other pixels or another order; "
                "evaluate both with the same data=…, split=… and seed=…"
            )
        ours, theirs = first.facts["protocol"], run.facts["protocol"]
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                raise UserError(
                    f"{run.folder} was measured with {key}={as_given(theirs.get(key))}, {first.folder} with "
                    f"{key}={as_given(ours.get(key))}; evaluate one of them again"
                )


def as_given(value: Any) -> str:
    """A setting as the command line has it."""
    if isinstance(value, dict):
        return " ".join([str(value.get("name")), *(f"{k}={as_given(v)}" for k, v in value.items() if k != "name")])
    return json.dumps(value) if isinstance(value, bool) or value is None else str(value)
