"""Restoring for the page, without the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from jdrl_lightning import UserError
from jdrl_lightning.app.restore import check_size, map_colours, restore, with_strength
from jdrl_lightning.app.sessions import Cancelled, Session
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.inference.picture_file import blend
from jdrl_lightning.io.image import read_image, write_image


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "runs", device="cpu", megapixels=1, tile=64, overlap=16)


def test_a_picture_above_the_limit_is_refused_by_its_header(photo: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", photo)
    assert check_size(tmp_path / "photo.png", 0.3) == "512×512, 8 bits"
    with pytest.raises(UserError, match=r"photo\.png: 0 megapixels exceed .* limit of 0\.2; .* megapixels=1,"):
        check_size(tmp_path / "photo.png", 0.2)


def test_two_networks_the_map_and_the_share_that_is_done(
    settings: Settings, photo: torch.Tensor, tmp_path: Path
) -> None:
    write_image(tmp_path / "photo.jpg", photo[:, :80, :150])
    session = Session(tmp_path)
    shares: list[float] = []
    element, files = restore(
        tmp_path / "photo.jpg",
        ["shipped", "shipped"],
        True,
        0.5,
        settings,
        session,
        lambda share, _: shares.append(share),
    )
    assert [file.name for file in files] == ["photo_restored.jpg", "photo_restored_2.jpg"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) % 3 == 0
    assert element.count('class="map"') == 2
    (none,) = with_strength(tmp_path / "photo.jpg", 0, session)[:1]
    unchanged = read_image(none).int() - read_image(tmp_path / "photo.jpg").int()
    assert unchanged.abs().float().mean() < 1  # encoded once more


def test_it_stops_after_a_tile_and_leaves_no_file(settings: Settings, photo: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", photo[:, :80, :150])
    session = Session(tmp_path)
    with pytest.raises(Cancelled):
        restore(tmp_path / "photo.png", ["shipped"], False, 1, settings, session, lambda *_: session.stop())
    assert with_strength(tmp_path / "photo.png", 1, session) == []


def test_a_blend_s_ends_are_exact_and_its_middle_is_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    first, last = (torch.randint(0, 65536, (3, 4, 5), generator=generator).to(torch.uint16) for _ in range(2))
    assert torch.equal(blend(first, last, 1), last)
    assert torch.equal(blend(first, last, 0), first)
    expected = np.round(0.25 * last.numpy().astype(float) + 0.75 * first.numpy().astype(float))
    assert np.array_equal(blend(first, last, 0.25).numpy(), expected.astype(np.uint16))


def test_the_map_s_colours_are_matplotlib_s() -> None:
    px = torch.tensor([[0.0, 2.0], [4.0, 9.0]])
    expected = [colormaps["viridis"](share, bytes=True)[:3] for share in (0.0, 0.5, 1.0, 1.0)]
    assert np.array_equal(map_colours(px, 4).permute(1, 2, 0).reshape(4, 3).numpy(), np.array(expected))
