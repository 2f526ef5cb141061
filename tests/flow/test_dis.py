"""OpenCV's dense inverse search: its input and settings. Accuracy: test_weightless."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow import dis

cv2 = pytest.importorskip("cv2")


def test_it_sees_smoothed_grey(photo: Tensor) -> None:
    image = photo[None, :, 60:188, 160:304] / 255
    eight_bit = dis._eight_bit(image)
    rgb = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())
    expected = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (13, 13), 2.0, borderType=cv2.BORDER_REPLICATE)
    assert eight_bit.dtype == np.uint8
    np.testing.assert_allclose(eight_bit[0], 255 * expected, atol=0.51)


def test_settings() -> None:
    solver = dis._solver()
    assert (solver.getPatchSize(), solver.getPatchStride(), solver.getFinestScale()) == (16, 4, 1)
    assert (solver.getVariationalRefinementAlpha(), solver.getVariationalRefinementIterations()) == (40, 10)


def test_opencv_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'jdrl_lightning\[opencv\]'"):
        flow.create("dis")
