from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor
from torch.nn.functional import avg_pool2d

from jdrl_lightning.classical.jnb import DICTIONARY, atoms_needed, jnb_map, read_dictionary
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.data.synthetic.photographs import SHIPPED


@pytest.fixture(scope="module")
def table() -> Tensor:
    """A photograph that the dictionary was not learned from, reduced by 2 as rendered frames are."""
    from skimage.data import coffee

    return avg_pool2d(torch.from_numpy(coffee()).permute(2, 0, 1)[None].float() / 255, 2)[..., :150, 40:200]


def _blurred(image: Tensor, radius: float) -> Tensor:
    torch.manual_seed(0)
    blurred = blur_by_discs(image[0], torch.full(image.shape[-2:], radius))[None] if radius else image
    return blurred + 0.004 * torch.randn_like(image)


def test_the_shipped_dictionary() -> None:
    dictionary = read_dictionary()
    assert dictionary.atoms.shape == (64, 64)
    torch.testing.assert_close(dictionary.atoms.norm(dim=1), torch.ones(64))
    assert bool((dictionary.radius_px.diff() > 0).all())
    assert bool((dictionary.needed.diff() < 0).all())
    assert DICTIONARY.stat().st_size < 200_000
    assert dictionary.provenance.startswith("python -m jdrl_lightning.classical.learn_jnb")
    assert all(name in dictionary.provenance for name in SHIPPED["train"])
    assert not any(name in dictionary.provenance for name in (*SHIPPED["val"], *SHIPPED["test"]))


def test_sharper_patches_need_more_atoms(table: Tensor) -> None:
    atoms = read_dictionary().atoms
    means = []
    for radius in (0.0, 1.0, 2.0, 3.0, 5.0):
        count, contrast = atoms_needed(rgb_to_grayscale(_blurred(table, radius)), atoms)
        assert count.shape == (1, 1, 75, 80)
        means.append(float(count[contrast > 0.04].mean()))
    assert all(sharper > blurrier + 0.3 for sharper, blurrier in pairwise(means))


def test_counts_belong_to_the_patch_around_their_pixel() -> None:
    image = torch.full((1, 1, 40, 40), 0.5)
    image[..., 20, 30] = 1.0
    count, contrast = atoms_needed(image, read_dictionary().atoms)
    seen = (contrast[0, 0] > 1e-4).nonzero()
    rows, columns = (seen[:, axis] * 2 for axis in (0, 1))
    # A patch around y reaches from y - 3 to y + 4.
    assert (int(rows.min()), int(rows.max())) == (16, 22)
    assert (int(columns.min()), int(columns.max())) == (26, 32)
    assert float(count[contrast < 1e-4].abs().max()) == 0


def test_the_map_of_slight_blur(table: Tensor) -> None:
    found = [float(jnb_map(_blurred(table, radius)).mean()) for radius in (1.0, 2.0, 3.0)]
    assert found == sorted(found)
    assert found[1] == pytest.approx(2.0, abs=0.6)
    assert found[2] == pytest.approx(3.0, abs=0.9)


def test_maps_have_the_size_of_the_image_and_no_contrast_is_no_blur(table: Tensor) -> None:
    pair = torch.cat([table, torch.full_like(table, 0.3)])[..., :51, :64]
    found = jnb_map(pair)
    assert found.shape == (2, 1, 51, 64)
    torch.testing.assert_close(found[:1], jnb_map(pair[:1]), rtol=0, atol=1e-4)
    assert float(found[1].abs().max()) == 0
    assert jnb_map(torch.rand(1, 3, 1, 3)).shape == (1, 1, 1, 3)
