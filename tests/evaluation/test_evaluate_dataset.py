"""Data sets are checked and identified before they are measured; methods that return no image are reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.evaluate_dataset import evaluate, look
from jdrl_lightning.evaluation.methods import Method, of_blurry
from jdrl_lightning.io.image import read_image
from jdrl_lightning.metrics.protocols import Protocol
from jdrl_lightning.types import Pair


def pairs(*names: str, blurry: Tensor | None = None) -> list[Pair]:
    images = torch.arange(3 * 20 * 24, dtype=torch.int32).reshape(3, 20, 24).remainder(251).byte()
    return [Pair(images if blurry is None else blurry, images.flip(0), name, {}) for name in names]


def test_input_and_output_are_measured_and_written(tmp_path: Path) -> None:
    method = Method("brighter", of_blurry(lambda blurry: blurry + 26 / 255))
    found = evaluate(method, pairs("a", "x/b"), Protocol(), flow.create("none"), None, folder=tmp_path)
    assert [(row["method"], row["name"]) for row in found.rows] == [
        ("input", "a"), ("restored", "a"), ("input", "x/b"), ("restored", "x/b"),
    ]  # fmt: skip
    blurry, sharp = (image.numpy().astype(float) for image in pairs("a")[0][:2])
    for row, added in zip(found.rows, (0, 26, 0, 26), strict=True):
        expected = peak_signal_noise_ratio(sharp / 255, np.clip((blurry + added) / 255, 0, 1), data_range=1)
        assert row["gt/psnr"] == pytest.approx(expected, abs=1e-3)
        assert row["gt/lpips"] is None
    assert found.means["restored"]["gt/psnr"] == pytest.approx(found.rows[1]["gt/psnr"])
    assert len(found.examples) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "x_b.png"]
    written = read_image(tmp_path / "a.png").numpy()
    np.testing.assert_array_equal(written, np.minimum(blurry + 26, 255))


@pytest.mark.parametrize("wrong", [lambda blurry: blurry[..., 1:], lambda blurry: blurry / 0])
def test_a_method_must_return_a_finite_image_of_the_same_size(wrong: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UserError, match=r"a: broken gave no finite image of \(1, 3, 20, 24\)"):
        evaluate(Method("broken", of_blurry(wrong)), pairs("a"), Protocol(), flow.create("none"), None)


def test_the_digest_depends_on_names_pixels_and_order() -> None:
    images, digest = look(pairs("a", "b"), Protocol(crop="top_left_16"))
    assert [tuple(image) for image in images] == [("a", 16, 16), ("b", 16, 16)]
    assert look(pairs("a", "b"), Protocol())[1] == digest
    changed = pairs("a")[0].blurry.clone()
    changed[0, 0, 0] += 1
    others = (pairs("b", "a"), pairs("a"), pairs("a", "c"), pairs("a", "b", blurry=changed))
    assert len({digest, *(look(other, Protocol())[1] for other in others)}) == 5


@pytest.mark.parametrize("names", [("a", "a"), ("x/a", "x_a")])
def test_two_images_need_two_file_names(names: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=f"two images are called '{names[1]}'"):
        look(pairs(*names), Protocol())


def test_data_that_cannot_be_measured() -> None:
    with pytest.raises(UserError, match="holds no images"):
        look([], Protocol())
    small = [Pair(torch.zeros(3, 6, 9), torch.zeros(3, 6, 9), "small", {})]
    with pytest.raises(UserError, match=r"small: .*top_left_16.* leaves nothing of 6×9 pixels; give crop=none"):
        look(small, Protocol(crop="top_left_16"))
    method = Method("identity", lambda pair: pair.blurry)
    with pytest.raises(UserError, match=r"small cannot be measured: .*; leave it out"):
        evaluate(method, small, Protocol(), flow.create("none"), None)
