from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.errors import HydraException

from jdrl_lightning.cli.error_messages import error_message


def test_scalars_or_a_one_line_error_without_tensorboard(train: Callable[..., Path], tmp_path: Path) -> None:
    settings = ("logger=tensorboard", "trainer.max_epochs=1", "debug=fast", "data.num_workers=0")
    if find_spec("tensorboard") is None:
        with pytest.raises(HydraException) as error:
            train(tmp_path / "run", *settings)
        message = error_message(error.value, "train", [])
        assert "\n" not in message
        assert "tensorboard" in message
    else:
        run = train(tmp_path / "run", *settings)
        assert list((run / "tensorboard").glob("events.out.tfevents.*"))
