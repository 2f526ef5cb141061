"""Pairs listed in a CSV file, so that any number of blurry images may share a sharp one."""

from __future__ import annotations

import csv
from collections import Counter
from errno import ENOENT
from pathlib import Path

from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.errors import UserError, first_line

__all__ = ["SPLITS", "read_pair_list"]

COLUMNS = ("blurry", "sharp", "split")
SPLITS = ("train", "val", "test")


def read_pair_list(file: Path) -> dict[str, list[PairPaths]]:
    """The pairs of each split that has rows, in their order.

    A row has the columns ``blurry``, ``sharp`` (paths relative to the file's folder) and ``split`` (train, val or
    test); others are ignored. A pair is named after its blurry image: without the folders if that is unambiguous.

    Raises:
        UserError: the file or a column is missing; a row names no picture file or no split, lists a blurry image
            again, or has a sharp image of another split. The message has the row's line number.
    """
    rows = _rows(file)
    stems = Counter(Path(row["blurry"]).stem for row in rows.values())
    found: dict[str, list[PairPaths]] = {}
    lines: dict[Path | str, int] = {}  # of each blurry image, and of each name
    sharps: dict[Path, tuple[str, int]] = {}  # split and line of each sharp image
    for line, row in rows.items():
        here, split = f"{file}, line {line}", row["split"]
        if split not in SPLITS:
            raise UserError(f"{here}: split {split!r} must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
        blurry, sharp = (_picture(file.parent, row[side], f"{here}: {side}") for side in ("blurry", "sharp"))
        if blurry.resolve() == sharp.resolve():
            raise UserError(f"{here}: blurry and sharp are the same file {row['blurry']!r}; correct one of them")
        parts = Path(row["blurry"]).with_suffix("").parts
        name = parts[-1] if stems[parts[-1]] == 1 else "_".join(filter(None, (part.strip("/\\.:") for part in parts)))
        for key in (blurry.resolve(), name):
            if key in lines:
                what = "is listed" if key != name else f"has the same name {name!r} as the one"
                raise UserError(f"{here}: blurry {row['blurry']!r} {what} in line {lines[key]}; remove or rename one")
            lines[key] = line
        other, first = sharps.setdefault(sharp.resolve(), (split, line))
        if other != split:
            raise UserError(
                f"{here}: sharp {row['sharp']!r} is in split {other} in line {first} and in {split} here; put all "
                "pairs of a sharp image into one split"
            )
        found.setdefault(split, []).append(PairPaths(name, blurry, sharp))
    return found


def _rows(file: Path) -> dict[int, dict[str, str]]:
    """The cells of ``COLUMNS`` of each row, by the number of the row's last line."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True, strict=True)
            fields = list(reader.fieldnames or [])
            missing = [column for column in COLUMNS if fields.count(column) != 1]
            if missing:
                raise UserError(
                    f"{file}, line 1: must name each of the columns {', '.join(COLUMNS)} once, separated by commas; "
                    f"found {', '.join(map(repr, fields)) or 'nothing'}"
                )
            rows = {}
            for row in reader:
                cells = {column: row[column] for column in COLUMNS}
                empty = [column for column, cell in cells.items() if not cell]
                if empty or None in row:
                    problem = f"no {empty[0]}; fill it in" if empty else "more cells than line 1; quote commas"
                    raise UserError(f"{file}, line {reader.line_num}: {problem}, or remove the line")
                rows[reader.line_num] = cells
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; set data.pairs to a CSV file, relative to data.root") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not a text in UTF-8; save it as CSV in UTF-8") from error
    except csv.Error as error:
        line = reader.reader.line_num  # reader.line_num is that of the row before
        raise UserError(f"{file}, line {line}: not CSV ({first_line(error)}); correct the line") from error
    if not rows:
        raise UserError(f"{file}, line 1: no rows below it; add a line for each pair")
    return rows


def _picture(folder: Path, cell: str, where: str) -> Path:
    path = folder / cell
    try:
        if not path.is_file():  # opening a pipe would wait
            raise FileNotFoundError(ENOENT, "no such file")
        path.open("rb").close()
    except OSError as error:
        raise UserError(
            f"{where} {cell!r}: {error.strerror}; correct the path, which starts in {folder.absolute()}, or remove "
            "the line"
        ) from error
    return path
