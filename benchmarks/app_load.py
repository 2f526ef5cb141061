"""The page under load: 50 requests at once, 200 in a row, a photograph of 12 megapixels, and how fast it opens.

    python benchmarks/app_load.py [--at-once 50] [--in-a-row 200]

The page runs in a process of its own, as ``python -m jdrl_lightning.app`` does. Requests come through the function that
the page's button calls, each from a visitor of its own, with a random picture of 64×48 pixels. Memory is the resident
set of the page's process. First paint (needs Playwright and Chromium) is the browser's first-contentful-paint after a
visit that has filled no cache, the median of five. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch
from gradio_client import Client, handle_file

from jdrl_lightning.io.image import write_image

APP = (sys.executable, "-m", "jdrl_lightning.app")
WIDTH, HEIGHT = 4000, 3000  # px: 12 megapixels


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--in-a-row", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served() as (address, pid, seconds):
        print(f"from the command to an answering page: {seconds:.1f} s")
        small, large = Path(folder, "small.png"), Path(folder, "large.png")
        write_image(small, torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8))
        print(f"first paint: {first_paint(address):.2f} s (median of five visits)")
        restore(address, small)
        started = time.perf_counter()
        with ThreadPoolExecutor(given.at_once) as pool:
            lines = list(pool.map(lambda _: restore(address, small), range(given.at_once)))
        done = sum("restored" in line for line in lines)
        print(f"{given.at_once} at once: {done} restored, {time.perf_counter() - started:.1f} s")
        before = resident_mib(pid)
        for number in range(1, given.in_a_row + 1):
            restore(address, small)
            if number % (given.in_a_row // 4) == 0:
                print(f"after {number} in a row: {resident_mib(pid):.0f} MiB (before: {before:.0f})")
        write_image(large, torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8))
        started = time.perf_counter()
        line = restore(address, large)
        print(
            f"12 megapixels, upload to file: {time.perf_counter() - started:.1f} s; {line}; {resident_mib(pid):.0f} MiB"
        )


@contextmanager
def served(command: Sequence[str | Path] = APP) -> Iterator[tuple[str, int, float]]:
    """The page's address, the process, and how long it took to answer."""
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*command, "port=0"], cwd=folder, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[0]
            Client(address, verbose=False)
            yield address, process.pid, time.perf_counter() - started
        finally:
            process.terminate()


def restore(address: str, file: Path) -> str:
    """What the page says of a visitor's photograph."""
    client = Client(address, verbose=False)
    line: str = client.predict(handle_file(file), "shipped", "", False, 100, api_name="/restore")[0]
    client.close()
    return line.partition(">")[2].partition("<")[0]


def first_paint(address: str) -> float:
    """Median of five, s."""
    import shutil

    from playwright.sync_api import sync_playwright

    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    found = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(5):
            page = browser.new_context().new_page()
            page.goto(address)
            page.wait_for_selector("#restore")
            found.append(page.evaluate(paint) / 1000)
            page.context.close()
        browser.close()
    return statistics.median(found)


def resident_mib(pid: int) -> float:
    """Resident set of a process."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return float(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
