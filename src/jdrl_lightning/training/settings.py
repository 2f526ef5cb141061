"""What can be said of a training's settings before anything is loaded: missing files and packages, wrong numbers."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.hub import is_hub
from jdrl_lightning.metrics.report import LARGEST_FIRST

__all__ = ["MEASURED", "check"]

# What is logged of a validation, see callbacks/quality.py and callbacks/blur_radius.py.
_FIGURES = ("psnr", "gain", "ssim", "mae", "lpips")
MEASURED = (
    *(f"val/{reference}/{figure}" for reference in ("deformed_gt", "gt", "aligned") for figure in _FIGURES),
    *(f"val/placement/{figure}" for figure in ("rms", "p95", "dx", "dy")),
    "val/change",
    "val/blur/mean_px",
    "val/blur/p95_px",
)
_WHOLE = {"max_epochs": -1, "accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "log_every_n_steps": 0}
_OPTIONAL = {"tensorboard": ("tensorboard", "tensorboardX")}  # loggers, and the packages of which they need one


def check(config: Mapping[str, Any]) -> None:
    """Refuse what cannot be trained with the plain ``config``; imports neither torch nor Lightning.

    Raises:
        UserError: one line with the setting and the remedy.
    """
    _check_numbers(config)
    _check_files(config)
    _check_views(config)
    if config["trainer"].get("limit_val_batches") == 0 and (config.get("callbacks") or {}).get("best"):
        raise UserError("trainer.limit_val_batches=0 measures nothing: set callbacks.best=null, last.ckpt is written")
    _check_monitor(config["monitor"], config.get("callbacks") or {})
    for logger, packages in _OPTIONAL.items():
        if (config.get("logger") or {}).get(logger) and not any(map(find_spec, packages)):
            raise UserError(f"logger={logger} needs a package: pip install 'jdrl_lightning[{logger}]', or logger=csv")


def _check_numbers(config: Mapping[str, Any]) -> None:
    trainer = config["trainer"]
    for key, least in _WHOLE.items():
        value = trainer.get(key)
        if value is not None and not (_is_number(value) and value == int(value) and value >= least):
            raise UserError(f"trainer.{key}={value} is not a whole number of at least {least}")
    if trainer.get("max_epochs") == 0:
        raise UserError("trainer.max_epochs=0 trains nothing; set 1 or more, or -1 to train until stopped")
    clip = trainer.get("gradient_clip_val")
    if clip is not None and not (_is_number(clip) and clip >= 0):
        raise UserError(f"trainer.gradient_clip_val={clip} is not a number of at least 0; set null for none")
    rate = ((config.get("optim") or {}).get("optimizer") or {}).get("lr", 1.0)
    if not (_is_number(rate) and rate > 0):
        raise UserError(
            f"optim.optimizer.lr={rate}: the optimizer cannot be built with a learning rate: {rate}; set a number "
            "above 0, as optim.optimizer.lr=1e-4"
        )


def _check_files(config: Mapping[str, Any]) -> None:
    root = config["data"].get("root")
    if root and "://" not in str(root) and not Path(root).is_dir():
        what = "a file, not a folder" if Path(root).exists() else f"no such folder in {Path.cwd()}"
        raise UserError(f"{root}: {what}; set data.root to the folder of your pairs")
    weights = config["backbone"].get("weights")
    if weights and weights != "builtin" and not is_hub(weights) and not Path(weights).exists():
        raise UserError(f"weights {weights} do not exist: check the path of backbone.weights")


def _check_views(config: Mapping[str, Any]) -> None:
    data = config["data"]
    if (
        config["backbone"].get("in_channels", 3) == 6
        and data.get("store", "files") == "files"
        and not data.get("views")
    ):
        raise UserError(
            "backbone.in_channels=6 takes both dual-pixel views: set data.views=true, which data=dpdd has, or "
            "backbone.in_channels=3"
        )


def _check_monitor(monitor: Any, callbacks: Mapping[str, Any]) -> None:
    best = callbacks.get("best") or {}
    if not isinstance(monitor, str) or not monitor.startswith(("val/", "train/")):
        raise UserError(f"monitor={monitor}: not a measure; set one of {', '.join(_measured(callbacks))}")
    if monitor.startswith("val/") and monitor not in _measured(callbacks) and best:
        near = get_close_matches(monitor, _measured(callbacks)) or _measured(callbacks)
        off = "" if callbacks.get("quality") else " while callbacks.quality=null"
        raise UserError(
            f"monitor={monitor}: nothing measures it{off}; set {' or '.join(near) or 'callbacks.best=null'}"
        )
    right = "max" if monitor.rpartition("/")[2] in LARGEST_FIRST else "min"
    if monitor in (*MEASURED, "train/loss") and best.get("mode", right) != right:
        raise UserError(f"monitor={monitor}: best is the {right}imum; set callbacks.best.mode={right}")


def _measured(callbacks: Mapping[str, Any]) -> list[str]:
    quality, blur = callbacks.get("quality"), callbacks.get("blur")
    return [name for name in MEASURED if (blur if name.startswith("val/blur/") else quality)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
