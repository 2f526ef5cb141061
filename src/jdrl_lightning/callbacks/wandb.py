"""The W&B logger: online where there are a key and a network, offline otherwise, and saying which."""

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
PUBLIC = "api.wandb.ai"  # under which keys for the public server are stored, whatever its address is now
PROBE_S = 5.0
FINISH_S = "300"  # a network that is lost in the middle of a training does not keep its end waiting for ever


class _Logger(WandbLogger):
    @property
    def experiment(self) -> Any:
        """The run; begun when it is first asked for, before anything is trained."""
        from wandb.errors import Error

        try:
            return super().experiment
        except Error as error:
            told = first_line(error)
            remedy = "log in anew with: wandb login --relogin, or give logger.wandb.offline=true"
            raise UserError(f"W&B does not begin the run ({told}); {remedy}") from error

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Leave out last.ckpt, which is best at nothing: Lightning would call it ``best`` too."""
        if checkpoint_callback.monitor:
            super().after_save_checkpoint(checkpoint_callback)


def wandb_logger(
    save_dir: str, offline: bool | None = None, log_model: bool | Literal["all"] = False, **settings: Any
) -> WandbLogger:
    """A Lightning logger that writes under ``save_dir``.

    Args:
        save_dir: the run folder.
        offline: None decides by itself: offline, and saying so, unless there are a key and a server that answers, so
            that a run never stops to ask or to wait. ``WANDB_MODE`` is respected.
        log_model: upload best.ckpt as an artifact at the end; ``all``: each time that it is written.
        settings: further arguments of :class:`lightning.pytorch.loggers.WandbLogger` (``project``, ``name``, ``tags``).

    Raises:
        UserError: ``log_model`` with a run that is kept offline; or ``WANDB_BASE_URL`` is no address. Asked for its
            run, the logger raises it if W&B does not accept the key or the settings.
    """
    # Before W&B looks at its environment. Tables wait in the run folder to be sent, not in the user's home.
    os.environ["WANDB_DATA_DIR"] = str(Path(save_dir, "wandb").absolute())
    os.environ.setdefault("WANDB_FINISH_TIMEOUT", FINISH_S)
    mode = "offline" if offline else "online"
    if offline is None and getattr(rank_zero_only, "rank", 0) == 0:  # the other processes log nothing
        if os.environ.get("WANDB_MODE") == "disabled":
            mode = "disabled"
        elif why := _why_offline():
            mode = "offline"
            later = f"wandb sync {save_dir}/wandb/offline-run-*"
            log.info("W&B: %s, so the run is kept offline; send it later with: %s", why, later)
    if log_model and mode == "offline":
        raise UserError(
            f"logger.wandb.log_model={log_model} uploads a checkpoint, but the run is kept offline; log in with: "
            "wandb login, or leave log_model out"
        )
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    return _Logger(save_dir=save_dir, mode=mode, log_model=log_model, **settings)


def _why_offline() -> str | None:
    import wandb

    if os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
        return "WANDB_MODE says offline"
    server = os.environ.get("WANDB_BASE_URL") or str(wandb.setup().settings.base_url)
    if not _has_key(server):
        return "no key set"
    return None if _answers(server) else f"{server} cannot be reached"


def _has_key(server: str) -> bool:
    if any(os.environ.get(key) for key in KEYS):
        return True
    try:
        stored = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(stored.authenticators(host) for host in (urlsplit(server).netloc, PUBLIC))


def _answers(server: str) -> bool:
    """Whether anything is heard of ``server``, through the proxies of the environment."""
    try:
        urllib.request.urlopen(server, timeout=PROBE_S).close()
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # a certificate that only W&B's own settings know
    except OSError:
        return False
    except ValueError as error:
        raise UserError(f"WANDB_BASE_URL={server} is no address; give https://<server>") from error
    return True
