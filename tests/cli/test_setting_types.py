"""Words in place of numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from jdrl_lightning import UserError
from jdrl_lightning.cli import config
from jdrl_lightning.cli.setting_types import check_types


def check(*overrides: str, name: str = "train") -> None:
    GlobalHydra.instance().clear()
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=config.CONF):
        composed = compose(name, [*overrides, *(["run_dir=here"] if name == "train" else [])])
        settings = OmegaConf.to_container(composed)
        assert isinstance(settings, dict)
        check_types(name, {str(key): value for key, value in settings.items()}, list(overrides))
        assert GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("objective.lam=abc", "objective.lam=abc is not a number; the default is 0.35"),
        ("objective=jdrl_robust objective.warmup_epochs=two", "objective.warmup_epochs=two is not a number; the "),
        ("experiment=smoke trainer.max_epochs=ten", "trainer.max_epochs=ten is not a number; the default is 4"),
        ("data=folder data.root=x data.batch_size=true", "data.batch_size=True is not a number; the default is 4"),
        ("data=folder data.root=x data.augment=on_weekdays", "data.augment=on_weekdays is neither true nor false"),
        ("seed=abc", "seed=abc is not a number; the default is 0"),
        ("optim=cosine optim.scheduler.epochs=many", None),  # an interpolation: Cosine refuses it
        ("objective.mask=none trainer.precision=bf16-mixed trainer.devices=auto data.recolor=true seed=3", None),
        ("ckpt_path=auto name=mine +trainer.max_time=00:01:00:00", None),
    ],
)  # fmt: skip
def test_a_word_for_a_number_is_refused(overrides: str, message: str | None) -> None:
    if message is None:
        check(*overrides.split())
        return
    with pytest.raises(UserError) as error:
        check(*overrides.split())
    assert str(error.value).startswith(message)


def test_other_commands_have_defaults_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="tile=big is not a number; the default is 1184"):
        check("tile=big", "input=a", name="predict")
    monkeypatch.chdir(tmp_path)
    check("tile=512", "input=photo", "output=restored", name="predict")
