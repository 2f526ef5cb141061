"""The misalignment measured on pairs is the true one, and the recommendation follows from it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from jdrl_lightning import data, flow
from jdrl_lightning.diagnosis import pairs
from jdrl_lightning.io.image import write_image
from jdrl_lightning.metrics import misalignment
from jdrl_lightning.types import Pair

CPU = torch.device("cpu")


def look(samples: list[Pair]) -> misalignment.Summary:
    estimator = flow.create("gauss_newton")
    return misalignment.summary([misalignment.motion(pair, estimator, CPU) for pair in samples])


def rendered(kind: str) -> list[Pair]:
    settings = {"frames_per_photo": {"val": 1}, "frame": 144, "misalignment": kind}
    found = data.create("leaves", split="val", seed=0, crop=64, **settings)
    return [found[index] for index in misalignment.evenly_spaced(len(found), 5)]


def test_the_recommendation_is_right_where_the_truth_is_known() -> None:
    for kind, word in (("none", "aligned to within a pixel"), ("random", "One affine map"), ("nonrigid", "need JDRL")):
        samples = rendered(kind)
        found = look(samples)
        assert word in pairs.recommendation(found), kind
        truth = torch.cat([pair.extras["flow"].norm(dim=0).flatten() for pair in samples])
        assert found.median_px == pytest.approx(float(truth.median()), abs=0.2)
        assert found.p95_px == pytest.approx(float(truth.quantile(0.95)), abs=0.4)


def test_images_of_different_scenes_are_not_taken_for_pairs() -> None:
    samples = rendered("none")
    unlike = [one._replace(sharp=other.sharp) for one, other in zip(samples, samples[1:] + samples[:1], strict=True)]
    found = look(unlike)
    assert len(found.unlike) >= 4
    assert "check how the files are paired" in pairs.recommendation(found)


def test_likeness_is_the_correlation_of_what_is_coarse(photo: torch.Tensor) -> None:
    """Against SciPy's Gaussian and NumPy's correlation."""
    first, second = (photo[None, :, top : top + 200, 60:300].float() / 255 for top in (100, 120))
    grey = [np.tensordot([0.299, 0.587, 0.114], image[0].double().numpy(), 1) for image in (first, second)]
    coarse = [gaussian_filter(image, 6.0, mode="nearest", truncate=3.0) for image in grey]
    expected = np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1]
    assert misalignment.scene_likeness(first, second) == pytest.approx(expected, abs=1e-4)
    assert misalignment.scene_likeness(first, 0.3 + 0.5 * first) == pytest.approx(1)
    assert misalignment.scene_likeness(first, 1 - first) == pytest.approx(-1)
    assert misalignment.scene_likeness(first, torch.full_like(first, 0.5)) == 0


def test_zoom_and_shift_are_those_of_the_pair(photo: torch.Tensor) -> None:
    wide = photo[None, :, 100:356, 100:356].float() / 255
    zoomed = torch.nn.functional.interpolate(wide, scale_factor=1.03, mode="bicubic", align_corners=False)
    start = (zoomed.shape[-1] - 256) // 2
    sharp = zoomed[..., start : start + 256, start - 3 : start + 253].clamp(0, 1)
    one = misalignment.motion(Pair(wide[0], sharp[0], "zoomed", {}), flow.create("gauss_newton"), CPU)
    assert one.zoom == pytest.approx(0.03, abs=0.004)
    centre = 128 * 1.03 - 0.5 - start - 127.5  # where the zoom took the picture's centre; then 3 px to the right
    assert one.shift_px == pytest.approx(math.hypot(centre + 3, centre), abs=0.1)


def test_pairs_are_spread_evenly() -> None:
    assert misalignment.evenly_spaced(100, 4) == [0, 25, 50, 75]
    assert misalignment.evenly_spaced(3, 32) == [0, 1, 2]


def test_wide_images_of_sixteen_bits(tmp_path: Path, photo: torch.Tensor) -> None:
    for kind in ("blur", "gt"):
        (tmp_path / kind).mkdir()
        for index in range(2):
            deep = photo[:, index : 64 + index, :96].to(torch.int32) * 257
            write_image(tmp_path / kind / f"{index}.png", deep.to(torch.uint16))
    found = data.create("folder", split="val", seed=0, crop=None, root=tmp_path)
    assert look([found[0]]).median_px < 0.01
