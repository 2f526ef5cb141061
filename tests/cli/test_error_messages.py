"""Each error of Hydra is one line with a remedy; the errors are Hydra's own, from composing the real configuration."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning import UserError
from jdrl_lightning.cli import config
from jdrl_lightning.cli.error_messages import USER_ERRORS, error_message, unknown_option


def message(*arguments: str) -> str:
    GlobalHydra.instance().clear()
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=config.CONF), pytest.raises(USER_ERRORS) as error:
        config.plain(compose("train", [*arguments, "run_dir=here"]))
    return error_message(error.value, "train", list(arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("objective.lamda=1", "objective.lamda: no such setting; did you mean objective.lam? (--help lists all)"),
        ("objectiv=l1", "objectiv: no such setting; did you mean objective? (--help lists all)"),
        ("~objectiv", "objectiv: no such setting; did you mean objective? (--help lists all)"),
        ("seeed=1 objective.lamda=1", "seeed: no such setting; did you mean seed? (--help lists all)"),
        ("batch_size=1", "batch_size: no such setting; did you mean data.batch_size? (--help lists all)"),
        ("optim.zzzzzzzzzzzz=1", "optim.zzzzzzzzzzzz: no such setting; optim has optimizer, scheduler"),
        ("optim.qqq=1", "optim.qqq: no such setting; optim has optimizer, scheduler"),
        ("optim.lr=1", "optim.lr: no such setting; did you mean optim.optimizer.lr? (--help lists all)"),
        ("backbone=guided backbone.zzz=1", "backbone.zzz: no such setting; backbone has of, name, channels, "),
        ("backbone=guided backbone.zzz=1 seeed=1", "backbone.zzz: no such setting; backbone has of, name, channels, "),
        ("data=ded data.zzz=1 data.zzzz=1", "data.zzz: no such setting; data has name, root, pairs, "),
        (
            "backbone=guided backbone@backbone.of=nafnet backbone.of.zzz=1 seeed=1",
            "backbone.of.zzz: no such setting; backbone.of has name, width, enc_blk_nums, ",
        ),
        ("optimizer.lr=1", "optimizer.lr: no such setting; did you mean optim.optimizer.lr "),
        ("nothing_like_it=1", "nothing_like_it: no such setting; --help lists all"),
        ("trainer=gpu", "trainer=gpu: no such option; known: ddp, "),
        ("data.root = x", "data.root: not a setting; write <name>=<value>, without spaces around ="),
        ("backbone=nope", "backbone=nope: no such option; known: compact, dmphn, "),
        ("data=folder", "data.root is missing: set data.root=..."),
        ("+seed=1", "seed is already set: write seed=... without the +"),
        ("+backbone=unet", "backbone is already set: write backbone=... without the +"),
        ("objective.lam=[1", "objective.lam=[1: cannot be read (no viable alternative at input '[1')"),
        ("seed=${nothing}", "seed: Interpolation key 'nothing' not found"),
    ],
)
def test_errors_of_hydra_have_a_remedy(arguments: str, expected: str) -> None:
    found = message(*arguments.split())
    assert found.startswith(expected)
    assert "\n" not in found


def test_a_device_given_as_a_trainer_is_told_where_it_belongs() -> None:
    assert message("trainer=gpu").endswith("; write trainer.accelerator=gpu")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--backbone mprnet", "--backbone: settings have no dashes; write backbone=mprnet (--help lists all)"),
        ("seed=1 --ckpt-path=a", "--ckpt-path=a: settings have no dashes; write ckpt_path=a (--help lists all)"),
        ("-lr", "-lr: settings have no dashes; write lr=<value> (--help lists all)"),
        ("-m seed=0,1 --cfg job", None),
        ("--help", None),
        ("--info=all seed=-1", None),
    ],
)
def test_settings_written_as_options_are_told_apart_from_hydras(arguments: str, expected: str | None) -> None:
    assert unknown_option(arguments.split()) == expected


def test_the_suggested_quoting_is_the_users_value() -> None:
    assert message("data.root=a,b=(c").endswith("; write \"data.root='a,b=(c'\"")


def test_a_user_error_passes_as_it_is() -> None:
    assert error_message(UserError("a.png: replace it"), "train", []) == "a.png: replace it"
