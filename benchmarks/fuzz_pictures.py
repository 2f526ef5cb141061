"""Damaged pictures: each is read, or refused with a user error in one line; none crashes, hangs or takes much memory.

    python benchmarks/fuzz_pictures.py [--mutations 2000] [--formats PNG JPEG …] [--seed 0] [--folder FOLDER]

Small files of every kind of each format are changed at random: bytes in the header and anywhere, sizes set to extremes,
cut off, parts removed or repeated; half of the PNGs get valid checksums again. Processes of their own read those of a
format, with ``JDRL_MAX_MEGAPIXELS=10``. The table has, for each format: how many were read and how many refused, how
many raised anything else, crashed the process, took longer than ten seconds, or had another size than their header
says; and by how much the peak of the memory grew over that after reading the intact files. Culprits stay in FOLDER.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import resource
import struct
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path

import numpy as np

from jdrl_lightning import UserError
from jdrl_lightning.io import png
from jdrl_lightning.io.image import header, read_picture
from picture_files import FORMATS

SLOW = 10.0  # s
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000)
OUTCOMES = ("read", "refused", "raised", "crashed", "slow", "other size")


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged copy."""
    made = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        end = max(1, len(made) if rng.integers(2) else min(len(made), 256))
        at = int(rng.integers(end))
        match rng.integers(7):
            case 0 | 1:
                made[at : at + 1] = bytes([int(rng.integers(256))])
            case 2:
                made[at : at + 1] = bytes([made[at] ^ (1 << int(rng.integers(8)))]) if made else b"\0"
            case 3 | 4:
                size, order = int(rng.choice([1, 2, 4])), "<>"[rng.integers(2)]
                value = int(rng.choice(EXTREMES)) % 256**size
                made[at : at + size] = struct.pack(order + {1: "B", 2: "H", 4: "I"}[size], value)
            case 5:
                del made[at : at + int(rng.integers(1, 64))]
            case 6:
                made[at:at] = made[at : at + int(rng.integers(1, 64))]
    if rng.integers(8) == 0:
        del made[int(rng.integers(len(made) + 1)) :]
    return _with_checksums(bytes(made)) if made.startswith(png.SIGNATURE) and rng.integers(2) else bytes(made)


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks' checksums are right, as far as their lengths permit."""
    done, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        done += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join([*done, data[at:]])


def outcome(path: Path) -> str:
    """How reading a file ends."""
    start = time.monotonic()
    try:
        head = header(path)
        picture = read_picture(path)
        found = "read" if head == (*picture.image.shape[1:], picture.depth) else "other size"
    except UserError as error:
        found = "refused" if "\n" not in str(error) and path.name in str(error) else "raised"
    except BaseException as error:  # a panic in Rust is no Exception
        print(f"{path}: {type(error).__name__}: {error}")
        found = "raised"
    return "slow" if time.monotonic() - start > SLOW else found


def tried(name: str, numbers: Sequence[int], seed: int, folder: Path) -> tuple[Counter[str], int]:
    """How reading those mutations ends, and the growth of the peak memory, bytes; culprits go into ``folder``."""
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_read_all, name, numbers, seed, folder).result()
    except BrokenProcessPool:  # by one of them; which, halves tell
        if len(numbers) == 1:
            (folder / f"{name}-{numbers[0]}-crashed").write_bytes(_mutation(name, numbers[0], seed))
            return Counter(crashed=1), 0
        half = len(numbers) // 2
        halves = [tried(name, part, seed, folder) for part in (numbers[:half], numbers[half:])]
        return halves[0][0] + halves[1][0], max(growth for _, growth in halves)


def _read_all(name: str, numbers: Sequence[int], seed: int, folder: Path) -> tuple[Counter[str], int]:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    os.environ["JDRL_MAX_MEGAPIXELS"] = "10"
    suffix, _ = FORMATS[name]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, f"picture.{suffix}")
        for intact in _intact(name):
            path.write_bytes(intact)
            read_picture(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in numbers:
            data = _mutation(name, number, seed)
            path.write_bytes(data)
            found = outcome(path)
            counts[found] += 1
            if found not in ("read", "refused"):
                (folder / f"{name}-{number}-{found.replace(' ', '_')}.{suffix}").write_bytes(data)
    return counts, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def _mutation(name: str, number: int, seed: int) -> bytes:
    intact = _intact(name)
    return mutated(intact[number % len(intact)], np.random.default_rng([seed, number]))


@cache
def _intact(name: str) -> list[bytes]:
    return FORMATS[name][1]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("outputs/fuzz_pictures"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    print(f"| format | {' | '.join(OUTCOMES)} | memory, MiB | seconds |\n|---|{'---:|' * (len(OUTCOMES) + 2)}")
    for name in given.formats:
        start = time.monotonic()
        counts, growth = tried(name, range(given.mutations), given.seed, given.folder)
        cells = [str(counts[found]) for found in OUTCOMES]
        print(f"| {name} | {' | '.join(cells)} | {growth / 2**20:.0f} | {time.monotonic() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
