"""``python -m jdrl_lightning.demo [seed] [override=value …]``: train five ways, compare, write a report."""

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
    from jdrl_lightning.demo import report
    from jdrl_lightning.demo.rows import (
        METHODS,
        Row,
        as_batches,
        compose_row,
        examples,
        measure_crops,
        results,
        train_row,
    )
    from jdrl_lightning.files import atomic_write

    started = time.monotonic()
    settings = [*overrides, f"seed={seed}"]
    rows: dict[str, Row] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    restored = {}
    test = None
    config: dict = {}
    for number, method in enumerate(METHODS, 1):
        print(f"[{number}/{len(METHODS)}] training: {method}", flush=True)
        run_dir = output / method
        shutil.rmtree(run_dir, ignore_errors=True)
        config = compose_row(method, run_dir.resolve(), settings)
        module, seconds, curves[method] = train_row(config, run_dir.resolve())
        if test is None:
            test = as_batches(build.datamodule(config).pairs("test"), module)
            rows["input"] = Row(measure_crops(None, test)[0], 0.0)
        crops, restored[method] = measure_crops(module, test)
        rows[method] = Row(crops, seconds)
        print(f"      {crops['psnr'].mean():.2f} dB against the truth, {seconds:.0f} s", flush=True)
    assert test is not None
    outcome = results(rows)
    outcome["seconds"] = round(time.monotonic() - started, 1)
    outcome["settings"] = {
        "seed": seed,
        "overrides": overrides,
        "preset": compose_row("jdrl", output, settings)["objective"]["name"],
        "misalignment": config["data"].get("misalignment"),
        "command": " ".join(["python -m jdrl_lightning.demo", *([f"--seed {seed}"] if seed else []), *overrides]),
        "device": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("jdrl_lightning", "torch", "lightning")},
    }
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(output / "results.json", "w") as file:
        json.dump(outcome, file, indent=2)
    report.write_report(output / "report.html", outcome, curves, examples(test, restored))
    print(report.markdown_table(outcome))
    print(f"\n{output / 'report.html'}")
    return outcome


if __name__ == "__main__":
    main()
