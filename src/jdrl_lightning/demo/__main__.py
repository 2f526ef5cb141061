"""``python -m jdrl_lightning.demo [--seed 1] [override=value …]``: train five ways, compare, write a report."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jdrl_lightning.errors import UserError


def main(arguments: list[str] | None = None) -> None:
    """Parse, train, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m jdrl_lightning.demo", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="settings for every training, such as data.misalignment=biased")
    parser.add_argument("--seed", type=int, default=0, help="of scenes, order and weights (default 0)")
    parser.add_argument("--output", type=Path, default=Path("outputs/demo"), help="folder (default outputs/demo)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(given.output, given.seed, given.overrides)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def run(output: Path, seed: int, overrides: list[str]) -> dict[str, object]:
    """The whole demonstration; returns what results.json holds."""
    from jdrl_lightning import build
    from jdrl_lightning.demo.report import write_report
    from jdrl_lightning.demo.rows import (
        METHODS,
        Row,
        as_batches,
        compose_row,
        examples,
        measure_images,
        results,
        train_row,
    )
    from jdrl_lightning.demo.tables import markdown_table
    from jdrl_lightning.files import atomic_write

    started = time.monotonic()
    settings = [*overrides, f"seed={seed}"]
    rows: dict[str, Row] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    restored = {}
    test: list[Any] | None = None
    for number, method in enumerate(METHODS, 1):
        print(f"[{number}/{len(METHODS)}] training: {method}", flush=True)
        run_dir = (output / method).resolve()
        shutil.rmtree(run_dir, ignore_errors=True)
        module, seconds, curves[method] = train_row(compose_row(method, run_dir, settings), run_dir)
        steps = curves[method][-1][0]
        if test is None:
            data = build.datamodule(compose_row("jdrl", output, settings))
            test = as_batches(data.pairs("test"), module)
            photographs = {split: len(data.pairs(split).photographs) for split in ("train", "val", "test")}
            rows["input"] = Row(measure_images(None, test)[0], 0.0)
        images, restored[method] = measure_images(module, test)
        rows[method] = Row(images, seconds)
        print(f"      {images['psnr'].mean():.2f} dB against the truth, {seconds:.0f} s", flush=True)
    assert test is not None
    setup = compose_row("jdrl", output, settings)
    outcome = results(rows)
    outcome["seconds"] = round(time.monotonic() - started, 1)
    outcome["settings"] = {
        "seed": seed,
        "overrides": overrides,
        "preset": setup["objective"]["name"],
        "misalignment": setup["data"].get("misalignment"),
        "steps": steps,
        "mean_flow_px": round(sum(float(pair.extras["flow"].norm(dim=1).mean()) for pair in test) / len(test), 2),
        "photographs": photographs,
        "command": " ".join(["python -m jdrl_lightning.demo", *([f"--seed {seed}"] if seed else []), *overrides]),
        "device": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("jdrl_lightning", "torch", "lightning")},
    }
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(output / "results.json", "w") as file:
        json.dump(outcome, file, indent=2)
    write_report(output / "report.html", outcome, curves, examples(test, restored))
    print(markdown_table(outcome))
    print(f"\n{output / 'report.html'}")
    return outcome


if __name__ == "__main__":
    main()
