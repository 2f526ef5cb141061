from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import center_crop

from jdrl_lightning.callbacks.panels import LABEL_PX, PanelCallback, middle, panel
from jdrl_lightning.types import Losses, Pair


def test_panels_show_pixels_unscaled() -> None:
    colours, grey = 1.4 * torch.rand(3, 20, 30) - 0.2, torch.rand(1, 20, 30)
    shown = np.asarray(panel({"colours": colours, "mask": grey}))
    assert shown.shape == (LABEL_PX + 20, 30 + 4 + 30, 3)
    expected = np.rint(255 * colours.clamp(0, 1).permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(shown[LABEL_PX:, :30], expected)
    np.testing.assert_array_equal(shown[LABEL_PX:, 34:], np.rint(255 * grey[0].numpy())[..., None].repeat(3, -1))
    assert (shown[LABEL_PX:, 30:34] == 255).all()
    for left in (0, 34):
        assert shown[:LABEL_PX, left : left + 20].min() < 100  # the label


def test_middle_is_torchvisions_centre_crop() -> None:
    image = torch.rand(2, 3, 40, 24)
    assert torch.equal(middle(image, 16), center_crop(image, [16, 16]))
    assert torch.equal(middle(image, 32), center_crop(image, [32, 24]))


class Objective:
    schedule = SimpleNamespace(at=lambda epoch: f"stage of epoch {epoch}")

    def __call__(self, restored: Any, pair: Pair, stage: str) -> Losses:
        assert stage == "stage of epoch 1"
        image = restored.images[0]
        maps = {"flow": torch.ones(2, 2, 64, 64), "mask": torch.ones(2, 1, 64, 64), "unknown": image}
        return Losses(image.sum(), {}, maps)


@pytest.fixture
def validated(tmp_path: Path) -> Any:
    """``validated(batch_idx, **trainer)``: names of the files after this validation batch."""
    logged: list[dict[str, Any]] = []
    logger = SimpleNamespace(log_image=lambda **call: logged.append(call))
    callback = PanelCallback(str(tmp_path / "panels"), every_n_epochs=2, images=1, size=32)
    module: Any = SimpleNamespace(objective=Objective())
    blurry, sharp, restored = torch.rand(3, 2, 3, 64, 64)

    def run(batch_idx: int = 0, found: dict[str, Any] | None = None, **settings: Any) -> list[str]:
        state = {"sanity_checking": False, "current_epoch": 1, "is_global_zero": True, "global_step": 7}
        trainer: Any = SimpleNamespace(**state | settings, loggers=[logger, object()])
        pair = Pair(blurry, sharp, ["scene 1/ä", "b"], {"coc": torch.full((2, 1, 64, 64), 4.0)})
        outputs = {"restored": restored.double(), **(found or {})}
        callback.on_validation_batch_end(trainer, module, outputs, pair, batch_idx)
        return sorted(path.name for path in tmp_path.glob("panels/*"))

    run.logged = logged  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    "settings", [{"batch_idx": 1}, {"sanity_checking": True}, {"current_epoch": 2}, {"is_global_zero": False}]
)
def test_nothing_is_drawn_when_no_panel_is_due(settings: dict[str, Any], validated: Any) -> None:
    assert validated(**settings) == []


def test_a_panel_is_written_and_logged(validated: Any, tmp_path: Path) -> None:
    (name,) = validated()
    assert name == "epoch_0001_scene_1_.png"
    (call,) = validated.logged
    assert (call["key"], call["step"]) == ("panels/scene 1/ä", 7)
    with Image.open(tmp_path / "panels" / name) as written:
        np.testing.assert_array_equal(np.asarray(written), call["images"][0])
        assert written.size == (5 * 32 + 4 * 4, LABEL_PX + 32)  # blurry, restored, sharp, flow, mask


def test_a_predicted_blur_map_is_drawn_beside_the_true_one(validated: Any) -> None:
    """White is 10 px; padding below and on the right is cut."""
    predicted = torch.nn.functional.pad(torch.full((2, 1, 64, 64), 2.0), (0, 8, 0, 8), value=10)
    validated(found={"coc": predicted})
    sheet = validated.logged[0]["images"][0]
    shown, true = (sheet[LABEL_PX:, 36 * column : 36 * column + 32] for column in (5, 6))
    assert sheet.shape[1] == 7 * 36 - 4
    assert (shown == 51).all()
    assert (true == 102).all()
