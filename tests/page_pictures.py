"""Waits for pictures of a page in the browser: one that has not arrived has no size and is not visible."""

from __future__ import annotations

from typing import Any

__all__ = ["pictures_loaded"]


def pictures_loaded(page: Any, place: str) -> None:
    """Returns once every picture on the stage of ``place`` has arrived."""
    page.wait_for_selector(f"{place} .stage img", state="attached")
    page.wait_for_function(
        "(images) => [...document.querySelectorAll(images)].every((one) => one.complete && one.naturalWidth)",
        arg=f"{place} .stage img",
    )
