"""Opening pairs on disk as the config asks: from which storage format, registered or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress
from torch.utils.data import Dataset

from jdrl_lightning.data.bit_depth import EightBit
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["Show", "opened", "progress", "registered"]

Show = Callable[[int, int], None]


def opened(
    files: Callable[[Show], Dataset[Pair]],
    split: str,
    root: str | Path,
    register: str,
    store: str,
    bit_depth: int | None = None,
) -> Dataset[Pair]:
    """The pairs of ``split`` at ``root``.

    Args:
        files: creates the data set from image files; its argument is a progress callback of (done, total).
        register: ``none`` or ``affine``, see :func:`registered`.
        store: ``files``; ``packed`` or ``litdata`` if ``root`` is the output of ``prepare pack``.
        bit_depth: None: as stored; 8: of 16 bits the high byte, see :func:`~.bit_depth.high_byte`.

    Raises:
        UserError: an unknown store, bit depth or registration, or an error of the data set.
    """
    if store == "files":
        with progress(f"checking the {split} pairs of {root}") as show:
            pairs = files(show)
    elif store == "packed":
        from jdrl_lightning.data.storage.pack import PackedPairs

        pairs = PackedPairs(Path(root), split)
    elif store == "litdata":
        from jdrl_lightning.data.storage.litdata_pairs import StreamedPairs

        pairs = StreamedPairs(root, split)
    else:
        raise UserError(f"data.store={store!r} is not one of files, packed, litdata")
    if bit_depth not in (None, 8):
        raise UserError(f"data.bit_depth={bit_depth!r} is neither null, as stored, nor 8")
    return registered(pairs if bit_depth is None else EightBit(pairs), register)


@contextmanager
def progress(title: str) -> Iterator[Show]:
    """A transient progress bar, as a callback of (done, total)."""
    with Progress(transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def registered(pairs: Dataset[Pair], register: str) -> Dataset[Pair]:
    """With ``register=affine``, warp each sharp image onto its blurry one by one affine map: the simple baseline."""
    if register == "none":
        return pairs
    if register != "affine":
        raise UserError(f"data.register={register!r} is neither none nor affine")
    if not getattr(pairs, "has_sharp", True):
        raise UserError("data.register=affine: these images have no sharp partners to register; set data.register=none")
    from jdrl_lightning.data.registration import Registered
    from jdrl_lightning.flow.gauss_newton import GaussNewton

    return Registered(pairs, GaussNewton(dense=False))
