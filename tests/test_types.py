"""Integer images to float and back, against NumPy's division."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jdrl_lightning import Pair
from jdrl_lightning.types import to_float, to_uint


@pytest.mark.parametrize(("kind", "largest"), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_integer_images_become_floats_and_other_extras_keep_their_values(kind: torch.dtype, largest: int) -> None:
    levels = torch.arange(0, largest + 1, largest // 255, dtype=torch.int32).view(1, 1, 16, 16).expand(2, 3, -1, -1)
    image, flow = levels.to(kind), torch.linspace(-300, 300, 2 * 16 * 16).view(1, 2, 16, 16)
    pair = Pair(image, image.flip(-1), ["a", "b"], {"aligned": image, "flow": flow, "coc": flow[:, :1].half()})
    found = pair.to_float()
    expected = image.numpy().astype(np.float32) / np.float32(largest)
    np.testing.assert_array_equal(found.blurry.numpy(), expected)
    np.testing.assert_array_equal(found.sharp.numpy(), expected[..., ::-1])
    np.testing.assert_array_equal(found.extras["aligned"].numpy(), expected)
    assert torch.equal(found.extras["flow"], flow)
    assert torch.equal(found.extras["coc"], flow[:, :1].half().float())
    assert found.name == ["a", "b"]
    assert list(found.extras) == ["aligned", "flow", "coc"]
    assert pair.blurry.dtype == kind, "the pair itself is left as it was"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_everything_is_of_the_type_asked_for(dtype: torch.dtype) -> None:
    image = torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    found = Pair(image, image / 255, "a", {"flow": torch.ones(2, 4, 4).double()}).to_float(dtype)
    assert {found.blurry.dtype, found.sharp.dtype, found.extras["flow"].dtype} == {dtype}
    assert torch.equal(found.blurry, found.sharp)
    assert found.to_float(dtype).blurry is found.blurry, "floats of that type pass as they are"


@pytest.mark.parametrize("depth", [8, 16])
def test_integers_to_float_and_back(depth: int) -> None:
    levels = torch.arange(2**depth, dtype=torch.int32).to(torch.uint8 if depth == 8 else torch.uint16).view(1, 1, -1)
    floats = to_float(levels)
    assert floats.dtype == torch.float32
    assert (floats.min(), floats.max()) == (0, 1)
    assert torch.equal(to_uint(floats, depth), levels)
    assert to_float(floats) is floats


def test_to_uint_rounds_and_clamps() -> None:
    values = torch.tensor([-0.1, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.7])
    assert to_uint(values, 8).tolist() == [0, 0, 1, 255, 255]
    with pytest.raises(ValueError, match="NaN"):
        to_uint(torch.tensor([float("nan")]), 8)
