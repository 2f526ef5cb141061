"""Pictures of every kind through one network: the same kind out, the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from PIL import Image
from torch import Tensor, nn

import jdrl_lightning
from jdrl_lightning import backbones
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.io.image import read_picture, write_image
from jdrl_lightning.types import Restored, to_float


class Darker(nn.Module):
    def forward(self, blurry: Tensor) -> Restored:
        return Restored((0.5 * blurry,), {"coc": 9 * blurry[:, :1]})


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    network = Darker()
    network.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    return Restorer(Backbone(network, divisor=4, licence="none", name="darker"), tile=32, overlap=8)


@pytest.fixture
def part(photo: Tensor) -> Tensor:
    return photo[:, 100:145, 100:163]


def test_tensors_and_arrays_of_every_type(restorer: Restorer, part: Tensor) -> None:
    deep = (part.int() * 257).to(torch.uint16)
    for image, levels in ((part, 255), (deep, 65535), (to_float(part), 0), (to_float(part).double(), 0)):
        restored = restorer.restore(image)
        assert (restored.dtype, restored.shape) == (image.dtype, image.shape)
        tolerance = {"atol": 1.0 if levels else 1e-6, "rtol": 0.0}
        torch.testing.assert_close(restored.double(), 0.5 * image.double(), **tolerance)
        array = image.permute(1, 2, 0).numpy()
        as_array = restorer.restore(array)
        assert (as_array.dtype, as_array.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(as_array, restored.permute(1, 2, 0).numpy())


@pytest.mark.filterwarnings("error")
def test_a_read_only_array_is_taken_without_a_warning(restorer: Restorer, part: Tensor) -> None:
    array = np.asarray(Image.fromarray(part.permute(1, 2, 0).numpy()))
    assert not array.flags.writeable
    np.testing.assert_array_equal(restorer.restore(array), restorer.restore(array.copy()))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_pil_images_keep_their_mode_and_alpha(restorer: Restorer, part: Tensor, mode: str) -> None:
    picture = Image.fromarray(part.permute(1, 2, 0).numpy()).convert(mode)
    if mode.endswith("A"):
        picture.putalpha(Image.fromarray((np.arange(45 * 63) % 256).astype(np.uint8).reshape(45, 63)))
    restored = restorer.restore(picture)
    assert (restored.mode, restored.size) == (picture.mode, picture.size)
    if mode.endswith("A"):
        assert restored.getchannel("A").tobytes() == picture.getchannel("A").tobytes()
    colours = 3 if mode.startswith("RGB") else 1
    before, after = (np.atleast_3d(np.asarray(p)).astype(float)[..., :colours] for p in (picture, restored))
    np.testing.assert_allclose(after, before / 2, atol=1)


def test_a_path_is_read_as_predict_reads_it(restorer: Restorer, part: Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "rgb.png", part)
    for path in (tmp_path / "rgb.png", str(tmp_path / "rgb.png")):
        restored = restorer.restore(path)
        assert isinstance(restored, Image.Image)
        np.testing.assert_array_equal(np.asarray(restored), restorer.restore(part.permute(1, 2, 0).numpy()))
    write_image(tmp_path / "grey.png", part[:1].expand(3, -1, -1), grey=True)
    assert restorer.restore(tmp_path / "grey.png").mode == "L"
    restored.save(tmp_path / "out.png")
    assert read_picture(tmp_path / "out.png").image.shape == part.shape
    write_image(tmp_path / "deep.png", (part.int() * 257).to(torch.uint16))
    with pytest.raises(UserError, match=r"deep\.png: 16 bits"):
        restorer.restore(tmp_path / "deep.png")


def test_the_blur_map_has_one_radius_a_pixel(restorer: Restorer, part: Tensor) -> None:
    expected = 9 * to_float(part)[0]
    radius = restorer.blur_map(part)
    assert isinstance(radius, Tensor)
    torch.testing.assert_close(radius, expected)
    array = restorer.blur_map(part.permute(1, 2, 0).numpy())
    assert (array.dtype, array.shape) == (np.float32, (45, 63))
    np.testing.assert_allclose(array, expected, rtol=1e-5)


def test_the_blur_map_of_a_file_of_16_bits(restorer: Restorer, part: Tensor, tmp_path: Path) -> None:
    deep = (part.int() * 257).to(torch.uint16)
    write_image(tmp_path / "deep.png", deep)
    radius = restorer.blur_map(tmp_path / "deep.png")
    np.testing.assert_array_equal(radius, restorer.blur_map(deep).numpy())


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.zeros(1, 3, 8, 8), r"a tensor \(1, 3, 8, 8\)"),
        (torch.zeros(3, 8, 8, dtype=torch.int32), "int32"),
        (np.zeros((8, 8), np.uint8), r"an array \(8, 8\)"),
        (Image.new("CMYK", (8, 8)), "CMYK"),
        ([[1]], "list is not a path"),
        (Path("absent.png"), "absent"),
    ],
)
def test_what_is_no_picture_is_refused(restorer: Restorer, picture: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        restorer.restore(picture)


def test_the_shipped_network_sharpens_and_measures_the_blur(photo: Tensor) -> None:
    shipped = jdrl_lightning.load()
    sharp = to_float(photo[:, 90:250, 90:250])
    inside = (..., slice(24, -24), slice(24, -24))
    for radius in (2.0, 4.0):
        blurry = linear_rgb_to_rgb(blur_by_discs(rgb_to_linear_rgb(sharp), torch.full((160, 160), radius)).clamp(0, 1))
        restored = shipped.restore(blurry)
        assert (restored - sharp)[inside].square().mean() < 0.8 * (blurry - sharp)[inside].square().mean()
        assert float(shipped.blur_map(blurry)[inside].median()) == pytest.approx(radius, abs=1)
    assert float((shipped.restore(sharp) - sharp)[inside].square().mean()) < 1e-4  # 40 dB


def test_the_shipped_weights_are_those_of_the_registry() -> None:
    shipped, created = jdrl_lightning.load().backbone, backbones.create("compact", weights="builtin")
    for ours, theirs in zip(shipped.parameters(), created.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    fresh = backbones.create("compact")
    backbones.load_weights(fresh, "builtin")
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), created.parameters(), strict=True))


def test_a_network_without_shipped_weights_says_which_has_them() -> None:
    with pytest.raises(UserError, match="no weights of unet, only of compact"):
        backbones.load_weights(backbones.create("unet", width=4), "builtin")


def test_load_reads_published_weights_for_a_named_network(tmp_path: Path, part: Tensor) -> None:
    backbone = backbones.create("unet", width=4)
    torch.save(backbone.network.state_dict(), tmp_path / "weights.pt")
    loaded = jdrl_lightning.load(tmp_path / "weights.pt", device="cpu", backbone={"name": "unet", "width": 4})
    assert torch.equal(loaded.restore(part), Restorer(backbone).restore(part))
    with pytest.raises(UserError, match="unet predicts no blur map"):
        loaded.blur_map(part)
