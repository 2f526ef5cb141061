"""From nothing to a restored photograph on the page: ``python benchmarks/app_from_nothing.py --photo photo.jpg``

In a new environment, as a stranger would: ``pip install '<this checkout>[app]'``, then ``jdrl-app``. Chromium opens the
page, is given the photograph, presses *Restore*, and waits until the restored one lies under the slider; once more with
another copy, when the network is loaded. Needs Playwright and Chromium where it is run, and whatever pip loads from.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from app_load import served

CHECKOUT = Path(__file__).parents[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        venv.create(folder, with_pip=True, symlinks=True)
        found = Path(folder, "bin")
        install = [found / "python", "-m", "pip", "install", "--quiet", "-c", CHECKOUT / "constraints.txt"]
        subprocess.run([*install, f"{CHECKOUT}[app]"], check=True)
        print(f"pip install: {time.perf_counter() - started:.0f} s", flush=True)
        with served([found / "jdrl-app"]) as (address, _, seconds):
            print(f"jdrl-app, until the page answers: {seconds:.1f} s", flush=True)
            for name in ("first", "second"):
                photo = Path(folder, name + given.photo.suffix)
                shutil.copy(given.photo, photo)
                print(f"{name} photograph, from opening the page: {restored(address, photo):.1f} s", flush=True)


def restored(address: str, photo: Path) -> float:
    """Seconds from opening the page until the restored photograph is shown."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        started = time.perf_counter()
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#restore")
        page.set_input_files("#photo input[type=file]", photo)
        page.wait_for_selector(f"#line :text('{photo.name}')")
        page.click("#restore")
        page.wait_for_selector("#view .viewer", timeout=600_000)
        seconds = time.perf_counter() - started
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
