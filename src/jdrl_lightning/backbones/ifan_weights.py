"""IFAN's published weights, whose tensor names we do not know: matched by order if shapes and kinds agree."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from jdrl_lightning.io.weights import read_weights

__all__ = ["read_by_order"]

log = logging.getLogger(__name__)

PUBLISHED, OF_KERNELS = "Network.", "kconv"  # known parts of the names: the network's prefix, the second encoder


def read_by_order(file: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor] | None:
    """Rename the tensors of a published state dict by their order, with a warning.

    A state dict keeps the order in which submodules are defined. Ours follows the published description, so if both
    list the same shapes layer by layer, tensors at the same position correspond. A file is rejected if weight and bias,
    or the two encoders (equal in shape; the second's names contain ``kconv``), do not match; within a block, the order
    of layers with equal shapes cannot be checked. **This is untested on the published file**: inspect the restored
    images.

    Args:
        file: PyTorch file with keys ``module.Network.*`` (the training heads next to them are ignored).
        wanted: shape of each tensor of the network, in the order of definition.

    Returns:
        Tensors under the keys of ``wanted``; None if the file has our names or does not match.
    """
    if file.suffix == ".safetensors":
        return None  # sorted by name, so the order is lost
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
        "weights %s: unknown names; %d tensors are matched by order and shape, which is not verified: inspect the "
        "restored images (published weights need backbone.shared_kernel_bug=true)",
        file,
        len(published),
    )
    return dict(zip(wanted, published.values(), strict=True))
