"""The former place of :mod:`jdrl_lightning.cli.config`, which earlier documentation imports from here."""

from jdrl_lightning.cli.config import CONF, config_hash, plain, register

__all__ = ["CONF", "config_hash", "plain", "register"]
