"""``python -m jdrl_lightning.app [port=7860 runs=outputs pairs=my_pairs]``: a page to restore photographs on."""

from __future__ import annotations

from importlib.util import find_spec

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main"]


@command("app")
def main(cfg: DictConfig) -> None:
    """Check, then serve the page until Ctrl-C."""
    if find_spec("gradio") is None:
        raise UserError("the app needs Gradio: pip install 'jdrl_lightning[app]'")
    from jdrl_lightning.app.settings import settings
    from jdrl_lightning.cli.config import plain

    chosen = settings(plain(cfg))
    from jdrl_lightning.app.server import serve

    serve(chosen, cfg.host, cfg.port)


if __name__ == "__main__":
    main()
