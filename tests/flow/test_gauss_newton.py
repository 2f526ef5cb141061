"""The embedded estimator: known motions, bad input, and its documented accuracy."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.flow.warp import in_frame, warp

ESTIMATOR = GaussNewton()


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The benchmark, whose rendering does not use the package's own warp."""
    path = Path(__file__).parents[2] / "benchmarks" / "flow.py"
    specification = importlib.util.spec_from_file_location("flow_benchmark", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def crop(photo: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return photo[None, :, top : top + height, left : left + width] / 255


def mean_error(found: Tensor, truth: Tensor) -> float:
    """Over the pixels that have a partner, 4 px from the border."""
    kept = in_frame(truth)
    kept[..., :4, :] = kept[..., -4:, :] = kept[..., :4] = kept[..., -4:] = 0
    return float(((found - truth).norm(dim=1, keepdim=True) * kept).sum() / kept.sum())


def constant(dx: float, dy: float, like: Tensor) -> Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(len(like), 2, *like.shape[-2:])


@pytest.mark.parametrize(("dx", "dy"), [(5, 0), (0, -3), (-4, 6)])
def test_a_known_shift_has_its_sign(photo: Tensor, dx: int, dy: int) -> None:
    first, second = crop(photo, 60 + dy, 160 + dx, 128, 128), crop(photo, 60, 160, 128, 128)
    found = ESTIMATOR(first, second)  # first[p] = second[p + (dx, dy)]
    assert found.shape == (1, 2, 128, 128)
    assert mean_error(found, constant(dx, dy, first)) < 0.06
    kept = in_frame(found)
    assert ((warp(second, found) - first).abs() * kept).mean() < 0.25 * ((second - first).abs() * kept).mean()


def test_identical_images_do_not_move(photo: Tensor) -> None:
    image = crop(photo, 60, 160, 96, 112)
    assert ESTIMATOR(image, image).abs().max() < 1e-3


def test_each_sample_for_itself(photo: Tensor) -> None:
    places = ((60, 160), (200, 40), (300, 300))
    first = torch.cat([crop(photo, top, left, 64, 80) for top, left in places])
    second = torch.cat([crop(photo, top + 2, left - 1 - i, 64, 80) for i, (top, left) in enumerate(places)])
    first[2], second[2] = torch.rand(3, 64, 80), torch.rand(3, 64, 80)  # noise next to the others
    batched = ESTIMATOR(first, second)
    single = torch.cat([ESTIMATOR(first[i : i + 1], second[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(batched[:2], single[:2], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (1, 1), (1, 40), (12, 200), (63, 65)])
@pytest.mark.parametrize("kind", ["constant", "black", "noise", "against black"])
def test_finite_whatever_it_is_given(kind: str, size: tuple[int, int]) -> None:
    noise = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    first, second = {
        "constant": (torch.full_like(noise, 0.3), torch.full_like(noise, 0.7)),
        "black": (torch.zeros_like(noise), torch.zeros_like(noise)),
        "noise": (noise, noise.flip(0)),
        "against black": (noise, torch.zeros_like(noise)),
    }[kind]
    for dense in (True, False):
        found = GaussNewton(dense)(first, second)
        assert found.shape == (2, 2, *size)
        assert found.isfinite().all()
        assert found.abs().max() <= 0.25 * min(size)
        if kind in ("constant", "black"):
            assert found.abs().max() < 1e-3


def test_from_a_start_it_finds_what_a_wide_window_smooths_over(photo: Tensor) -> None:
    second = crop(photo, 60, 160, 128, 128)
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    parallax = 1.2 * torch.tanh((x - 64) / 6)  # a depth edge
    truth = torch.stack([3 + parallax, -2 + 0 * y])[None]
    first = warp(second, truth, mode="bicubic")
    wide = ESTIMATOR(first, second)
    near = ESTIMATOR(first, second, start=wide)
    assert mean_error(near, truth) < 0.8 * mean_error(wide, truth) < 0.3
    still = torch.zeros_like(truth)
    assert ESTIMATOR(second, second, start=still).abs().max() < 0.01
    tiny = ESTIMATOR(first[..., :20, :20], second[..., :20, :20], start=truth[..., :20, :20])  # too small for a level
    torch.testing.assert_close(tiny, ESTIMATOR(first[..., :20, :20], second[..., :20, :20]))


def test_unrelated_images_move_at_most_a_quarter_of_the_side(photo: Tensor) -> None:
    first, second = crop(photo, 0, 0, 48, 160), crop(photo, 300, 250, 48, 160)
    longest = max(
        float(ESTIMATOR(a, b).abs().max()) for a, b in ((first, second), (second, first), (first, first.flip(3)))
    )
    assert longest <= 12
    ramp = torch.linspace(0, 1, 48).expand(1, 3, 48, 48)
    far = 0.5 * ramp  # where it is half as bright
    assert ESTIMATOR(far, ramp).abs().max() <= 12


@pytest.mark.parametrize(("gain", "offset"), [(1.05, 0.0), (0.95, 0.0), (1.0, 0.04)])
def test_brightness_does_not_matter(photo: Tensor, gain: float, offset: float) -> None:
    first, second = 0.9 * crop(photo, 64, 157, 128, 128), 0.9 * crop(photo, 60, 160, 128, 128)
    plain = ESTIMATOR(first, second)
    changed = ESTIMATOR(first, second * gain + offset)
    assert (changed - plain).norm(dim=1).mean() < 0.05
    assert mean_error(changed, constant(-3, 4, first)) < 0.1


def test_registration_finds_an_affine_map(recipe: ModuleType, photo: Tensor) -> None:
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    x, y = x - 99.5, y - 99.5
    truth = torch.stack([0.02 * x - 0.01 * y + 4.2, 0.012 * x + 0.025 * y - 3.6])[None]
    second = crop(photo, 40, 130, 200, 200)
    first = warp(second, truth, mode="bicubic")
    registered = GaussNewton(dense=False)(first, second)
    assert mean_error(registered, truth) < 0.1
    # It is one affine map: second differences vanish.
    assert registered.diff(n=2, dim=2).abs().max() < 1e-4
    assert registered.diff(n=2, dim=3).abs().max() < 1e-4


def test_dense_follows_what_no_affine_map_can(recipe: ModuleType) -> None:
    first, second, truth = recipe.rendered("gravel", 0.0, 3)
    assert mean_error(ESTIMATOR(first, second), truth) < 0.5 * mean_error(
        GaussNewton(dense=False)(first, second), truth
    )


@pytest.mark.parametrize(
    ("blur", "median", "p95"),
    [("sharp", 0.09, 0.48), ("disc 3", 0.11, 0.50), ("disc 6", 0.14, 0.75), ("varying", 0.11, 0.50)],
)
def test_accuracy_on_photographs(recipe: ModuleType, blur: str, median: float, p95: float) -> None:
    """One warp of each of eight photographs, 256 px: the recipe of the benchmark, warps of average difficulty."""
    pooled, means = [], []
    for index, name in enumerate(recipe.PHOTOS):
        first, second, truth = recipe.rendered(name, recipe.BLURS[blur], 1400 + index)
        found = recipe.errors(ESTIMATOR(first, second), truth)
        pooled.append(found)
        means.append(float(found.mean()))
    errors = torch.cat(pooled)
    assert errors.median() <= median
    assert errors[::3].quantile(0.95) <= p95
    assert max(means) <= 0.75


@pytest.mark.parametrize("blur", [0.0, 6.0])
def test_strong_edges_far_out_of_place_are_not_taken_for_outliers(recipe: ModuleType, blur: float) -> None:
    """A dark sky with two thin towers: before the shift is found, every pixel with texture has a large residual."""
    first, second, truth = recipe.rendered("rocket", blur, 5003)
    assert mean_error(ESTIMATOR(first, second), truth) < 1.0


def test_the_benchmark_prints_its_table(recipe: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--flow",
        "none",
        "gauss_newton,dense=0",
        "--warps",
        "1",
        "--repeats",
        "1",
        "--photos",
        "camera",
        "--output",
        str(tmp_path / "new" / "flow.md"),
    ]
    recipe.main(arguments)
    text = (tmp_path / "new" / "flow.md").read_text()
    assert text == capsys.readouterr().out
    assert f"python benchmarks/flow.py {' '.join(arguments)}" in text
    assert f"torch {torch.__version__}" in text
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    assert [row[0].strip() for row in rows] == ["first image", *(blur for blur in recipe.BLURS for _ in range(2))]
    for still, affine in zip(rows[1::2], rows[2::2], strict=True):
        assert (still[1].strip(), affine[1].strip()) == ("none", "gauss_newton,dense=0")
        assert float(still[2]) > 2  # no motion is not the answer
        assert float(affine[2]) < 1


def test_it_is_the_default(photo: Tensor) -> None:
    assert isinstance(flow.create("gauss_newton"), GaussNewton)
    assert flow.create("gauss_newton", dense=False).dense is False
