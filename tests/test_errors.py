"""One-line messages."""

from __future__ import annotations

import traceback

import pytest

from jdrl_lightning.errors import UserError, and_more, check_choice, first_line


def fail() -> None:
    raise UserError("a.png: cannot be read; replace it")


def test_of_a_loader_workers_traceback_the_last_line_is_kept() -> None:
    try:
        fail()
    except UserError:
        text = traceback.format_exc()
    assert text.count("\n") > 3
    assert str(UserError(f"Caught UserError in DataLoader worker process 0.\nOriginal {text}")) == (
        "a.png: cannot be read; replace it"
    )
    assert str(UserError("one line")) == "one line"


@pytest.mark.parametrize(
    ("error", "line", "with_kind"),
    [
        (ValueError("first\nsecond"), "first", "ValueError: first"),
        (RuntimeError("\n  \n  indented \n"), "indented", "RuntimeError: indented"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
        (KeyError("a"), "'a'", "KeyError: 'a'"),
    ],
)
def test_first_line(error: BaseException, line: str, with_kind: str) -> None:
    assert first_line(error) == line
    assert first_line(error, kind=True) == with_kind


def test_choices() -> None:
    check_choice("data.store", "files", ("files", "packed"))
    check_choice("bits", 8, iter([8, 16]))
    with pytest.raises(UserError, match=r"^data\.store='box' is not one of files, packed$"):
        check_choice("data.store", "box", ("files", "packed"))
    with pytest.raises(UserError, match=r"^bits='8' is not one of 8, 16$"):
        check_choice("bits", "8", iter([8, 16]))


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (9, "0, 1, 2 and 6 more")]
)
def test_long_lists_are_counted(count: int, text: str) -> None:
    assert and_more(list(range(count))) == text
