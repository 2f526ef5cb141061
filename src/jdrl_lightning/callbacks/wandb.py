"""The W&B logger: online if there are a key and a reachable server, otherwise offline with a message."""

from __future__ import annotations

import logging
import netrc
import os
import ssl
import urllib.request
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from jdrl_lightning.errors import UserError, first_line

__all__ = ["wandb_logger"]

log = logging.getLogger(__name__)

KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
PUBLIC = "api.wandb.ai"  # netrc host of keys for the public server, whatever its current address
PROBE_S = 5.0
FINISH_S = "300"  # upper bound on the final upload, in case the network has been lost during training


class _Logger(WandbLogger):
    @property
    def experiment(self) -> Any:
        """The W&B run, started on first access, before training."""
        from wandb.errors import Error

        try:
            return super().experiment
        except Error as error:
            remedy = "log in again with: wandb login --relogin, or set logger.wandb.offline=true"
            raise UserError(f"W&B cannot start the run ({first_line(error)}); {remedy}") from error

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Skip last.ckpt, which monitors nothing; Lightning would label it ``best`` as well."""
        if checkpoint_callback.monitor:
            super().after_save_checkpoint(checkpoint_callback)


def wandb_logger(
    save_dir: str, offline: bool | None = None, log_model: bool | Literal["all"] = False, **settings: Any
) -> WandbLogger:
    """A Lightning logger that writes under ``save_dir``.

    Args:
        save_dir: the run folder.
        offline: None: offline, with a message, unless there are a key and a reachable server, so that a run never
            prompts or blocks. ``WANDB_MODE`` is respected.
        log_model: upload best.ckpt as an artifact at the end; ``all``: each time it is written.
        settings: further arguments of :class:`lightning.pytorch.loggers.WandbLogger` (``project``, ``name``, ``tags``).

    Raises:
        UserError: ``log_model`` with an offline run, or ``WANDB_BASE_URL`` is not an address. Later, on access to the
            logger's run: W&B does not accept the key or the settings.
    """
    # Before W&B reads its environment. Files waiting for upload are kept in the run folder, not in the user's home.
    os.environ["WANDB_DATA_DIR"] = str(Path(save_dir, "wandb").absolute())
    os.environ.setdefault("WANDB_FINISH_TIMEOUT", FINISH_S)
    mode = "offline" if offline else "online"
    if offline is None and getattr(rank_zero_only, "rank", 0) == 0:  # the other ranks log nothing
        if os.environ.get("WANDB_MODE") == "disabled":
            mode = "disabled"
        elif reason := _why_offline():
            mode = "offline"
            later = f"wandb sync {save_dir}/wandb/offline-run-*"
            log.info("W&B: %s, so the run is logged offline; upload it later with: %s", reason, later)
    if log_model and mode == "offline":
        raise UserError(
            f"logger.wandb.log_model={log_model} needs an online run; log in with: wandb login, or leave log_model out"
        )
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    return _Logger(save_dir=save_dir, mode=mode, log_model=log_model, **settings)


def _why_offline() -> str | None:
    import wandb

    if os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
        return "WANDB_MODE=offline"
    server = os.environ.get("WANDB_BASE_URL") or str(wandb.setup().settings.base_url)
    if not _has_key(server):
        return "no API key found"
    return None if _reachable(server) else f"{server} cannot be reached"


def _has_key(server: str) -> bool:
    if any(os.environ.get(key) for key in KEYS):
        return True
    try:
        stored = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(stored.authenticators(host) for host in (urlsplit(server).netloc, PUBLIC))


def _reachable(server: str) -> bool:
    """Whether ``server`` responds, through the proxies set in the environment."""
    try:
        urllib.request.urlopen(server, timeout=PROBE_S).close()
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # a certificate that W&B's own settings may accept
    except OSError:
        return False
    except ValueError as error:
        raise UserError(f"WANDB_BASE_URL={server} is not an address; set https://<server>") from error
    return True
