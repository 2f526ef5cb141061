"""Any restoration network that spandrel recognises from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError, first_line
from jdrl_lightning.io.weights import DAMAGED, OURS, read_weights

__all__ = ["spandrel"]

GUIDED = "inner.network."  # before the names of a network that a blur map guides, among those of the whole


def spandrel(path: str | None = None, extra_arches: bool = False) -> Backbone:
    """The network in a weight file, with its weights, for inference or further training.

    Architecture and sizes are inferred from the tensors' names and shapes; no code in the file is run. The network is
    the plain module, without the rounding, clamping and ``no_grad`` of spandrel's wrapper. It is tried on one small
    image, since some networks need further inputs or return something else.

    Args:
        path: PyTorch or safetensors file with published weights, or one of our checkpoints with this backbone.
        extra_arches: also use ``spandrel_extra_arches``, whose networks are for non-commercial use only.

    Raises:
        UserError: a package is missing; the file is missing, unreadable or unknown to spandrel; or its network does not
            map RGB images of any size to RGB images of the same size.
    """
    if not path:
        raise UserError("backbone.path is not set: set it to a weight file, backbone.path=<file>")
    descriptor = _recognise(read_weights(Path(path)), path, extra_arches)
    name = descriptor.architecture.name
    if descriptor.scale != 1 or (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        does = f"{descriptor.input_channels} channels to {descriptor.output_channels} at {descriptor.scale}× the size"
        raise UserError(f"weights {path}: {name} maps {does}; required are 3 to 3 at 1×")
    size = descriptor.size_requirements
    if size.square:
        raise UserError(f"weights {path}: {name} takes square images only")
    divisor = -(-max(size.minimum, 1) // size.multiple_of) * size.multiple_of  # so that its multiples reach the minimum
    extra = type(descriptor.model).__module__.startswith("spandrel_extra_arches.")
    licence = f"published weights of {name}: " + ("for non-commercial use only" if extra else "their authors' terms")
    backbone = Backbone(descriptor.model, divisor=divisor, licence=licence, name=f"spandrel:{name}")
    try:
        with torch.no_grad():
            backbone.eval()(torch.full((1, 3, divisor, divisor), 0.5))
    except Exception as error:  # third-party networks may raise anything
        reason = first_line(error)
        raise UserError(f"weights {path}: {name} does not map one image to one image ({reason})") from error
    return backbone.train().requires_grad_()


def _recognise(content: Any, path: str, extra_arches: bool) -> Any:
    """spandrel's descriptor of the network in ``content``, on the CPU."""
    try:
        from spandrel import MAIN_REGISTRY, ModelLoader, UnsupportedModelError
    except ImportError as error:
        raise UserError("backbone 'spandrel' needs a package: pip install 'jdrl_lightning[spandrel]'") from error
    registry = MAIN_REGISTRY.copy()
    if extra_arches:
        try:
            from spandrel_extra_arches import EXTRA_REGISTRY
        except ImportError as error:
            raise UserError("backbone.extra_arches needs a package: pip install spandrel_extra_arches") from error
        registry.add(*EXTRA_REGISTRY, ignore_duplicates=True)
    if not isinstance(content, Mapping):
        raise UserError(f"weights {path} hold no state dict")
    ours = _below(OURS, content.get("state_dict") or content)  # of a model that travels, the content itself
    while guided := _below(GUIDED, ours):
        ours = guided
    try:
        return ModelLoader("cpu", registry).load_from_state_dict(ours or dict(content))
    except UnsupportedModelError as error:
        hint = "" if extra_arches else "; backbone.extra_arches=true adds networks for non-commercial use"
        raise UserError(f"weights {path} are of a network unknown to spandrel{hint}") from error
    except DAMAGED as error:
        raise UserError(f"weights {path} do not fit the network that spandrel recognised: damaged?") from error


def _below(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).removeprefix(prefix): value for key, value in state.items() if str(key).startswith(prefix)}
