from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks import worst_images
from jdrl_lightning.callbacks.worst_images import WorstCallback
from jdrl_lightning.types import Pair


def test_the_lowest_psnr_of_the_last_validation_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[dict[str, Any]] = []
    logger = SimpleNamespace(log_table=lambda key, **table: tables.append({"key": key, **table}))
    monkeypatch.setattr(worst_images, "wandb_of", lambda trainer: logger)
    trainer: Any = SimpleNamespace(sanity_checking=False, global_step=7)
    module: Any = None
    callback = WorstCallback(images=2, size=20)
    for scores in ({"old": 1.0}, {"a": 30.0, "b": 10.0, "c": 20.0, "d": 5.0}):
        callback.on_validation_epoch_start(trainer, module)
        for index, (name, score) in enumerate(scores.items()):
            image = torch.rand(1, 3, 40, 60)
            measures = {"gt/psnr": torch.tensor([99 - score]), "deformed_gt/psnr": torch.tensor([score])}
            outputs = {"restored": image, "measures": measures}
            callback.on_validation_batch_end(trainer, module, outputs, Pair(image, image, [name], {}), index)
    callback.on_fit_end(trainer, module)
    (table,) = tables
    assert (table["key"], table["step"]) == ("worst", 7)
    assert table["columns"] == ["name", "gt/psnr", "deformed_gt/psnr", "blurry, restored, sharp"]
    assert [row[:3] for row in table["data"]] == [["d", 94.0, 5.0], ["b", 89.0, 10.0]]
    assert {row[3].image.size for row in table["data"]} == {(3 * 20 + 2 * 4, 13 + 16)}  # 40×60 downscaled to 13×20


def test_without_measures_there_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Any] = []
    logger = SimpleNamespace(log_table=lambda *given, **named: tables.append(given))
    monkeypatch.setattr(worst_images, "wandb_of", lambda trainer: logger)
    trainer: Any = SimpleNamespace(sanity_checking=False)
    callback, module, image = WorstCallback(), Any, torch.rand(1, 3, 8, 8)
    callback.on_validation_batch_end(trainer, module, {"restored": image}, Pair(image, image, ["a"], {}), 0)
    callback.on_exception(trainer, module, RuntimeError())
    assert not tables
