from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.errors import HydraException

from jdrl_lightning.cli.error_messages import error_message


def test_scalars_or_one_line_that_says_what_is_missing(train: Callable[..., Path], tmp_path: Path) -> None:
    settings = ("logger=tensorboard", "trainer.max_epochs=1", "debug=fast", "data.num_workers=0")
    if find_spec("tensorboard") is None:
        with pytest.raises(HydraException) as error:
            train(tmp_path / "run", *settings)
        told = error_message(error.value, "train", [])
        assert "\n" not in told
        assert "tensorboard" in told
    else:
        run = train(tmp_path / "run", *settings)
        assert list((run / "tensorboard").glob("events.out.tfevents.*"))
