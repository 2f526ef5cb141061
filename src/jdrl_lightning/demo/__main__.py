"""``python -m jdrl_lightning.demo [--seed 1] [override=value …]``: fit the shipped network to a lens in four ways."""

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

from jdrl_lightning.errors import INTERRUPTED, UserError


def main(arguments: list[str] | None = None) -> None:
    """Parse, train, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m jdrl_lightning.demo", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="settings of every training, for example data.misalignment=biased")
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes, order and weights (default 0)")
    parser.add_argument("--output", type=Path, default=Path("outputs/demo"), help="folder (default outputs/demo)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(given.output, given.seed, given.overrides)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def run(output: Path, seed: int, overrides: list[str]) -> dict[str, object]:
    """The whole demonstration; returns the content of results.json."""
    from jdrl_lightning import build
    from jdrl_lightning.demo.comparison import as_batches, measure_images
    from jdrl_lightning.demo.examples import examples
    from jdrl_lightning.demo.report import write_report
    from jdrl_lightning.demo.rows import METHODS, ROWS, Row, compose_row, results
    from jdrl_lightning.demo.tables import markdown_table
    from jdrl_lightning.demo.training import side_by_side, train_rows
    from jdrl_lightning.io.atomic import atomic_write

    started = time.monotonic()
    settings = [*overrides, f"seed={seed}"]
    for method in METHODS:
        shutil.rmtree(output / method, ignore_errors=True)
    longest_first = ("jdrl", "prealign", "charbonnier", "aligned_ceiling")
    configs = {name: compose_row(name, (output / name).resolve(), settings) for name in longest_first}
    setup = configs["jdrl"]
    data = build.datamodule(setup)
    test: list[Any] = []
    found: dict[str, Row] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    modules: dict[str, Any] = {}
    pictures: dict[str, list[Any]] = {}
    for method, trained in train_rows(configs, output.resolve()):
        if not test:  # rendered while the others train
            test = as_batches(data.pairs("test"))
            found["input"] = Row(measure_images(None, test)[0], 0.0)
            images, pictures["shipped"] = measure_images(build.module(setup).eval(), test)
            found["shipped"] = Row(images, 0.0)
        modules[method] = build.from_checkpoint(output / method / "checkpoints" / "last.ckpt")
        images, pictures[method] = measure_images(modules[method], test)
        found[method], curves[method] = Row(images, trained.seconds), trained.curve
        print(f"{method}: {images['psnr'].mean():.2f} dB against the truth, {trained.seconds:.0f} s", flush=True)
    rows = {name: found[name] for name in ROWS}
    restored = {name: pictures[name] for name in ROWS if name in pictures}
    outcome = results(rows)
    outcome["seconds"] = round(time.monotonic() - started, 1)
    together, threads = side_by_side(len(METHODS))
    outcome["settings"] = {
        "seed": seed,
        "overrides": overrides,
        "preset": setup["objective"]["name"],
        "backbone": setup["backbone"]["name"],
        "camera": setup["data"].get("camera"),
        "misalignment": setup["data"].get("misalignment"),
        "steps": curves["jdrl"][-1][0],
        "mean_flow_px": round(sum(float(pair.extras["flow"].norm(dim=1).mean()) for pair in test) / len(test), 2),
        "photographs": {split: len(data.pairs(split).photographs) for split in ("train", "val", "test")},
        "command": " ".join(["python -m jdrl_lightning.demo", *([f"--seed {seed}"] if seed else []), *overrides]),
        "device": platform.processor() or platform.machine(),
        "side_by_side": f"{together} trainings of {threads} thread{'s' if threads > 1 else ''} each",
        "versions": {name: version(name) for name in ("jdrl_lightning", "torch", "lightning")},
    }
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(output / "results.json", "w") as file:
        json.dump(outcome, file, indent=2)
    write_report(output / "report.html", outcome, curves, examples(test, restored, modules["jdrl"].backbone))
    print(markdown_table(outcome))
    print(f"\n{output / 'report.html'}")
    return outcome


if __name__ == "__main__":
    main()
