"""Saving a model to a folder or to the Hugging Face hub, and back, by huggingface_hub's own mixin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelHubMixin
from torch import Tensor

from jdrl_lightning.io.hub import model_file, on_hub
from jdrl_lightning.io.model_card import model_card
from jdrl_lightning.io.pretrained import read_pretrained, write_pretrained

__all__ = ["HubModel"]


class HubModel(ModelHubMixin):
    """Gives a module ``save_pretrained(folder)``, ``push_to_hub("owner/name")`` and ``from_pretrained``.

    Each of the first two takes ``model_card_kwargs``, what :meth:`generate_model_card` takes. No code travels:
    the settings are names that are registered where the model is loaded.
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **download: Any) -> Any:
        """The model in eval mode on the CPU: ``owner/name``, ``hf:owner/name@<revision>``, or a folder.

        Args:
            download: settings of ``huggingface_hub.snapshot_download``, as ``revision`` or ``token``.

        Raises:
            UserError: it cannot be fetched or read, does not fit, or names what is not registered here.
        """
        file = model_file(on_hub(pretrained_model_name_or_path), **download)
        return cls._from_stored(read_pretrained(file), file)

    def generate_model_card(
        self,
        run: str | os.PathLike[str] | None = None,
        results: str | os.PathLike[str] | None = None,
        licence: str | None = None,
    ) -> ModelCard:
        """The model's README.

        Args:
            run: folder of its training, for steps, command and final figures.
            results: output folder of an ``evaluate``, for figures with their intervals.
            licence: of the weights, as the hub writes it (``apache-2.0``).

        Raises:
            UserError: a folder has no ``summary.json``.
        """
        network = self._restores()
        count = sum(parameter.numel() for parameter in network.parameters())
        folders = [None if folder is None else Path(folder) for folder in (run, results)]
        return ModelCard(model_card(self._to_store()[0], count, network.licence, licence, *folders))

    def _save_pretrained(self, save_directory: Path) -> None:
        write_pretrained(save_directory, *self._to_store())

    def _restores(self) -> Any:
        """The network that restores, with its ``licence``."""
        raise NotImplementedError

    def _to_store(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
        """What :func:`write_pretrained` takes."""
        raise NotImplementedError

    @classmethod
    def _from_stored(cls, content: Mapping[str, Any], file: Path) -> Any:
        """The model of what :func:`read_pretrained` returned of ``file``."""
        raise NotImplementedError
