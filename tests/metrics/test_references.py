from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from jdrl_lightning.metrics import PlacementError, mae, psnr, quality, ssim
from jdrl_lightning.metrics.placement import placement_error
from jdrl_lightning.metrics.protocols import Protocol, deformed
from jdrl_lightning.types import Pair
from metrics.displaced import ConstantFlow, displaced_pair

PLACEMENT = ["placement/rms", "placement/p95", "placement/dx", "placement/dy"]


@pytest.fixture
def pair() -> Pair:
    return displaced_pair()


def test_every_reference_there_is_in_the_order_of_the_tables(pair: Pair) -> None:
    restored = pair.blurry
    values = quality(pair, Protocol(), ConstantFlow(-2, 0))(restored, pair)
    references = {
        "gt": pair.sharp,
        "deformed_gt": deformed(pair.sharp, restored, ConstantFlow(-2, 0)),
        "aligned": pair.extras["aligned"],
    }
    assert list(values) == [f"{name}/{metric}" for name in references for metric in ("psnr", "ssim", "mae")] + PLACEMENT
    for name, reference in references.items():
        for metric in (psnr, ssim, mae):
            expected = metric(restored, reference)[0]
            torch.testing.assert_close(values[f"{name}/{metric.__name__}"], expected, rtol=0, atol=1e-5)
    assert values["aligned/psnr"] > values["gt/psnr"] + 2


def test_means_are_over_images(pair: Pair) -> None:
    metrics = quality(pair, Protocol(), ConstantFlow(-2, 0))
    restored = [pair.blurry, pair.sharp, 0.5 * pair.blurry]
    values = [metrics(image, pair) for image in restored]
    means = metrics.compute()
    assert means.keys() == values[0].keys()
    finite = [name for name in means if name != "gt/psnr"]
    for name in finite:
        torch.testing.assert_close(
            means[name], torch.stack([value[name] for value in values]).mean(), rtol=1e-5, atol=1e-5
        )
    assert means["gt/psnr"] == torch.inf
    metrics.reset()
    metrics.update(restored[0], pair)
    torch.testing.assert_close(metrics.compute()["gt/psnr"], values[0]["gt/psnr"])


def test_equal_references_of_the_first_pair_stay_apart(pair: Pair) -> None:
    metrics = quality(pair, Protocol())
    metrics.update(pair.blurry, pair._replace(sharp=pair.extras["aligned"]))
    metrics.update(pair.blurry, pair)
    means = metrics.compute()
    expected = torch.stack([psnr(pair.blurry, image)[0] for image in (pair.extras["aligned"], pair.sharp)]).mean()
    torch.testing.assert_close(means["gt/psnr"], expected)
    assert means["gt/psnr"] < means["aligned/psnr"]


def test_placement_is_measured_against_the_truth_else_the_blurry_image(pair: Pair) -> None:
    moved = torch.roll(pair.extras["aligned"], 1, -1)
    for known, reference in ((pair, pair.extras["aligned"]), (pair._replace(extras={}), pair.blurry)):
        values, expected = PlacementError()(moved, known), placement_error(moved, reference)
        assert list(values) == PLACEMENT
        for name, value in zip(("rms", "p95"), (expected.rms, expected.p95), strict=True):
            torch.testing.assert_close(values[f"placement/{name}"], value[0])
        torch.testing.assert_close(torch.stack([values["placement/dx"], values["placement/dy"]]), expected.mean[0])


def test_an_image_is_in_place_with_itself(pair: Pair) -> None:
    bare = pair._replace(extras={})
    assert not any(PlacementError()(pair.blurry.clone(), bare).values())
    assert PlacementError()(pair.sharp, bare)["placement/rms"] > 1


def test_without_estimator_and_truth_only_gt_is_left(pair: Pair) -> None:
    bare = pair._replace(extras={})
    truthful = ConstantFlow(0, 0)
    truthful.uses_truth = True
    for estimator in (None, truthful):
        values = quality(bare, Protocol(), estimator)(bare.blurry, bare)
        assert {name.split("/")[0] for name in values} == {"gt", "placement"}


def test_restored_is_clamped_and_has_no_gradient(pair: Pair) -> None:
    wild = (3 * pair.blurry - 1).requires_grad_()
    values = quality(pair, Protocol(), ConstantFlow(0, 0))(wild, pair)
    torch.testing.assert_close(values["gt/psnr"], psnr(wild.detach().clamp(0, 1), pair.sharp)[0])
    assert not any(value.requires_grad for value in values.values())


def test_lpips_is_measured_where_its_weights_are_given(pair: Pair, tmp_path: Path) -> None:
    trunk = torchvision.models.AlexNet().features.state_dict()
    torch.save({f"features.{key}": value for key, value in trunk.items()}, tmp_path / "trunk.pth")
    metrics = quality(pair, Protocol(), lpips_weights=tmp_path / "trunk.pth")
    values = metrics(pair.blurry, pair)
    assert [name for name in values if name.startswith("gt/")] == ["gt/psnr", "gt/ssim", "gt/mae", "gt/lpips"]
    assert values["aligned/lpips"] != values["gt/lpips"]
    assert not metrics.state_dict()


def test_the_protocol_decides_how_is_measured(pair: Pair) -> None:
    restored, flow = pair.blurry, ConstantFlow(-1.5, 0)
    values = quality(pair, Protocol(warp="legacy", ssim="gaussian"), flow)(restored, pair)
    legacy = deformed(pair.sharp, restored, flow, "legacy")
    torch.testing.assert_close(values["deformed_gt/psnr"], psnr(restored, legacy)[0])
    torch.testing.assert_close(values["gt/ssim"], ssim(restored, pair.sharp, "gaussian")[0])
    usual = quality(pair, Protocol(), flow)(restored, pair)
    assert usual["deformed_gt/psnr"] != values["deformed_gt/psnr"]
    assert usual["gt/ssim"] != values["gt/ssim"]


def test_what_the_documentation_shows_runs(pairs_folder: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    (section,) = re.findall(r"^## In your own LightningModule\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    (tmp_path / "my_pairs").symlink_to(pairs_folder)
    blocked = (
        "import sys\nsys.modules.update({name: None for name in ('hydra', 'omegaconf', 'jdrl_lightning.module')})\n"
    )
    (tmp_path / "mine.py").write_text(blocked + code + "\nprint(*sorted(trainer.callback_metrics), sep='\\n')\n")
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    logged = {f"val/{name}/{metric}" for name in ("gt", "deformed_gt") for metric in ("psnr", "ssim", "mae")}
    assert logged | {f"val/{name}" for name in PLACEMENT} <= set(done.stdout.split())


def test_what_cannot_be_trusted_counts_for_nothing(pair: Pair) -> None:
    restored, valid = pair.blurry, torch.ones_like(pair.sharp[:, :1])
    valid[..., :20, :24] = 0
    wrong = torch.where(valid > 0, pair.sharp, 1 - pair.sharp)
    masked = pair._replace(sharp=wrong, extras={"valid": valid})
    found = quality(masked, Protocol(), ConstantFlow(-2, 0))(restored, masked)
    known = torch.where(valid > 0, pair.sharp, restored)
    torch.testing.assert_close(found["gt/psnr"], psnr(restored, known)[0])
    # Sampled 2 px to the left, the masked corner reaches 2 px further to the right.
    reaching = valid.clone()
    reaching[..., :20, 24:26] = 0
    warped = deformed(pair.sharp, restored, ConstantFlow(-2, 0))
    torch.testing.assert_close(found["deformed_gt/mae"], mae(restored, torch.where(reaching > 0, warped, restored))[0])
    plain = quality(pair, Protocol(), ConstantFlow(-2, 0))(restored, pair._replace(sharp=wrong))
    assert found["gt/psnr"] > plain["gt/psnr"] + 1
