"""Validation means count every image once, whichever process holds it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.quality import QualityCallback
from jdrl_lightning.data.sampler import STAND_IN
from jdrl_lightning.flow.oracle import Oracle
from jdrl_lightning.metrics import mae, psnr, ssim
from jdrl_lightning.types import Pair

TRAINER: Any = None


def module() -> Any:
    logged: dict[str, Any] = {}
    return SimpleNamespace(logged=logged, log_dict=logged.update)


def batch(*names: str, seed: int = 0, extras: tuple[str, ...] = ()) -> tuple[dict[str, torch.Tensor], Pair]:
    images = torch.rand(3 + len(extras), len(names), 3, 24, 24, generator=torch.Generator().manual_seed(seed))
    pair = Pair(images[0], images[1], list(names), dict(zip(extras, images[3:], strict=True)))
    return {"restored": images[2]}, pair


def test_means_of_all_images_are_logged_and_those_of_each_are_left() -> None:
    callback, model = QualityCallback({"name": "gauss_newton"}), module()
    for epoch in (0, 1):  # the second forgets the first
        batches = [batch("a", "b", seed=epoch), batch("c", seed=10 + epoch)]
        callback.on_validation_epoch_start(TRAINER, model)
        for index, (outputs, pair) in enumerate(batches):
            callback.on_validation_batch_end(TRAINER, model, outputs, pair, index)
        callback.on_validation_epoch_end(TRAINER, model)
        for metric in (psnr, ssim, mae):
            name = f"gt/{metric.__name__}"
            each = [metric(outputs["restored"], pair.sharp) for outputs, pair in batches]
            for (outputs, _), expected in zip(batches, each, strict=True):
                torch.testing.assert_close(outputs["measures"][name], expected, rtol=1e-5, atol=1e-6)
            assert float(model.logged[f"val/{name}"]) == pytest.approx(float(torch.cat(each).mean()), rel=1e-5)
    assert {name.split("/")[1] for name in model.logged} == {"gt", "deformed_gt", "placement", "change"}


def test_the_gain_is_over_the_untouched_input_which_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    callback, model, asked = QualityCallback({"name": "gauss_newton"}), module(), []
    measure = callback._of_input
    monkeypatch.setattr(callback, "_of_input", lambda pair: asked.append(pair.name[0]) or measure(pair))
    batches = [batch("a", "b", extras=("aligned",)), batch("c", seed=1, extras=("aligned",))]
    for factor in (0.0, 0.5):  # nothing changed; half-way to the truth
        callback.on_validation_epoch_start(TRAINER, model)
        for index, (_, pair) in enumerate(batches):
            restored = pair.blurry.lerp(pair.extras["aligned"], factor)
            callback.on_validation_batch_end(TRAINER, model, {"restored": restored}, pair, index)
        callback.on_validation_epoch_end(TRAINER, model)
        expected = 0.0 if factor == 0 else 20 * math.log10(2)
        assert float(model.logged["val/aligned/gain"]) == pytest.approx(expected, abs=1e-4)
        moved = [(factor * (pair.extras["aligned"] - pair.blurry)).abs().mean((1, 2, 3)) for _, pair in batches]
        assert float(model.logged["val/change"]) == pytest.approx(255 * float(torch.cat(moved).mean()), abs=1e-4)
    before = torch.cat([psnr(pair.blurry, pair.sharp) for _, pair in batches]).mean()
    assert float(model.logged["val/gt/gain"]) == pytest.approx(float(model.logged["val/gt/psnr"] - before), abs=1e-4)
    assert asked == ["a", "b", "c"]
    pair = batches[0][1]
    exact = Pair(pair.sharp, pair.sharp, pair.name, {"aligned": pair.sharp})
    callback.on_test_epoch_start(TRAINER, model)
    callback.on_test_batch_end(TRAINER, model, {"restored": exact.sharp}, exact, 0)
    callback.on_test_epoch_end(TRAINER, model)
    assert float(model.logged["test/gt/gain"]) == 0.0


def test_padding_counts_for_nothing() -> None:
    callback, model = QualityCallback({"name": "gauss_newton"}), module()
    callback.on_test_epoch_start(TRAINER, model)
    outputs, pair = batch("a", STAND_IN)
    callback.on_test_batch_end(TRAINER, model, outputs, pair, 0)
    padding, nothing = batch(STAND_IN, seed=1)
    callback.on_test_batch_end(TRAINER, model, padding, nothing, 1)
    callback.on_test_epoch_end(TRAINER, model)
    expected = psnr(outputs["restored"][:1], pair.sharp[:1])
    torch.testing.assert_close(model.logged["test/gt/psnr"], expected[0], rtol=1e-5, atol=0)
    assert len(outputs["measures"]["gt/psnr"]) == 1
    assert "measures" not in padding


def test_padding_only_logs_nothing() -> None:
    callback, model = QualityCallback({"name": "gauss_newton"}), module()
    callback.on_validation_epoch_start(TRAINER, model)
    callback.on_validation_batch_end(TRAINER, model, *batch(STAND_IN, STAND_IN), 0)
    callback.on_validation_epoch_end(TRAINER, model)
    assert not model.logged


def test_the_truth_is_a_reference_where_the_pairs_carry_it_and_no_judge() -> None:
    callback, model = QualityCallback(Oracle()), module()
    callback.on_validation_epoch_start(TRAINER, model)
    outputs, pair = batch("a", extras=("aligned",))
    callback.on_validation_batch_end(TRAINER, model, outputs, pair, 0)
    callback.on_validation_epoch_end(TRAINER, model)
    assert {name.split("/")[1] for name in model.logged} == {"gt", "aligned", "placement", "change"}


SCRIPT = """
import json, sys, torch
from types import SimpleNamespace
from jdrl_lightning.callbacks.quality import QualityCallback
from jdrl_lightning.data.sampler import STAND_IN
from jdrl_lightning.types import Pair

rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://store", rank=rank, world_size=2)
callback, result = QualityCallback({"name": "gauss_newton"}), []
for names in (["a", "b", "c", STAND_IN], ["a", STAND_IN], [STAND_IN, STAND_IN]):
    logged = {}
    module = SimpleNamespace(log_dict=logged.update)
    images = torch.rand(3, len(names), 3, 24, 24, generator=torch.Generator().manual_seed(0))
    callback.on_validation_epoch_start(None, module)
    for index in range(rank, len(names), 2):
        blurry, sharp, restored = images[:, index : index + 1]
        pair = Pair(blurry, sharp, [names[index]], {})
        callback.on_validation_batch_end(None, module, {"restored": restored}, pair, index // 2)
    callback.on_validation_epoch_end(None, module)
    result.append({name: float(value) for name, value in logged.items()})
torch.distributed.destroy_process_group()
print(json.dumps(result))
"""


def test_over_processes_every_image_counts_once_also_where_one_has_only_padding(tmp_path: Path) -> None:
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.replace("file://store", f"file://{tmp_path}/store"), str(rank)],
            env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    for output, _ in outputs:
        *measured, nothing = json.loads(output.splitlines()[-1])
        assert nothing == {}
        for count, found in zip((3, 1), measured, strict=True):
            images = torch.rand(3, count + 1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
            _, sharp, restored = images[:, :count]
            for metric in (psnr, ssim, mae):
                expected = float(metric(restored, sharp).mean())
                assert found[f"val/gt/{metric.__name__}"] == pytest.approx(expected, rel=1e-5)
            assert len(found) == 13
