"""IFAN's published weights, whose names we do not know: taken in their order, if everything else agrees."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from jdrl_lightning.io.weights import read_weights

__all__ = ["read_by_order"]

log = logging.getLogger(__name__)

PUBLISHED, OF_KERNELS = "Network.", "kconv"  # what is known of the names: the network's prefix, the second encoder's


def read_by_order(file: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor] | None:
    """Rename the tensors of a published state dict by their order; a warning says so.

    A state dict keeps the order in which a network's parts were defined. Ours is the order of the published
    description, so that where both list the same shapes, layer for layer, tensors of one place belong to one another.
    Refused is a file in which weight and bias, or the two encoders (equal in shape; the second's names hold
    ``kconv``), do not fall together; of layers in one block that agree in shape, the order is believed. **This has not
    been tried on the published file**: look at the restored images.

    Args:
        file: PyTorch file with keys ``module.Network.*`` (heads for training beside them are left out).
        wanted: shape of each tensor of the network, in the order of definition.

    Returns:
        Tensors under the keys of ``wanted``; None if the file is something else: our names, or what does not match.
    """
    if file.suffix == ".safetensors":
        return None  # sorted by name: the order is lost
    content = read_weights(file)
    if not isinstance(content, Mapping):
        return None
    bare = {str(key).removeprefix("module."): value for key, value in content.items()}
    published = {key.removeprefix(PUBLISHED): value for key, value in bare.items() if key.startswith(PUBLISHED)}
    if wanted.keys() & published.keys() or len(wanted) != len(published):
        return None
    for (ours, shape), (theirs, value) in zip(wanted.items(), published.items(), strict=True):
        same_kind = ours.rpartition(".")[2] == theirs.rpartition(".")[2]
        same_encoder = ours.startswith("kernel_encoder.") == (OF_KERNELS in theirs)
        if not isinstance(value, Tensor) or tuple(value.shape) != shape or not same_kind or not same_encoder:
            return None
    log.warning(
        "weights %s: the names are not ours; %d tensors are matched by order and shape, which is not verified: look at "
        "the restored images (published weights need backbone.shared_kernel_bug=true)",
        file,
        len(published),
    )
    return dict(zip(wanted, published.values(), strict=True))
