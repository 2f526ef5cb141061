"""The step of a convolutional LSTM that GKMNet and INIKNet share."""

from __future__ import annotations

from torch import Tensor

__all__ = ["lstm_step"]


def lstm_step(gates: Tensor, cell: Tensor) -> list[Tensor]:
    """The next ``[output, cell]``, both ``(B, C, H, W)``.

    Args:
        gates: ``(B, 4 C, H, W)`` before their activations: input, forget and output gates, then the new value.
        cell: ``(B, C, H, W)``.

    Source: Shi et al., "Convolutional LSTM Network", NeurIPS 2015, without peepholes.
    """
    written, kept, shown, value = gates.chunk(4, dim=1)
    cell = kept.sigmoid() * cell + written.sigmoid() * value.tanh()
    return [shown.sigmoid() * cell.tanh(), cell]
