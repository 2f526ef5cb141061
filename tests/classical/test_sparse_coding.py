from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jdrl_lightning.classical.sparse_coding import learn_dictionary, pursue


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def _slow_pursuit(signal: np.ndarray, dictionary: np.ndarray, tolerance: float, most: int) -> tuple[list[int], float]:
    """The definition: least squares on all selected atoms after each selection."""
    taken: list[int] = []
    rest = signal
    while len(taken) < most and np.linalg.norm(rest) > tolerance:
        taken.append(int(np.abs(dictionary @ rest).argmax()))
        coefficients = np.linalg.lstsq(dictionary[taken].T, signal, rcond=None)[0]
        rest = signal - dictionary[taken].T @ coefficients
    return taken, float(np.linalg.norm(rest))


def test_pursuit_is_the_definition() -> None:
    torch.manual_seed(0)
    dictionary = _unit(torch.randn(24, 16, dtype=torch.float64))
    signals = torch.randn(40, 16, dtype=torch.float64)
    signals[3] = 0
    signals[5] = 2 * dictionary[7]
    tolerance = torch.linspace(0.3, 2.5, 40, dtype=torch.float64)
    code = pursue(signals, dictionary, tolerance, most=6)
    for n in range(40):
        taken, error = _slow_pursuit(signals[n].numpy(), dictionary.numpy(), float(tolerance[n]), 6)
        assert code.support[n].tolist() == taken + [-1] * (6 - len(taken))
        assert int(code.taken[n]) == len(taken)
        assert abs(float(code.error[n]) - error) < 1e-9
    assert code.taken[3] == 0
    assert code.support[5].tolist() == [7, -1, -1, -1, -1, -1]
    assert len(set(code.taken.tolist())) >= 4  # all kinds of ends are among them


def test_learning_finds_the_atoms_that_made_the_signals() -> None:
    generator = torch.Generator().manual_seed(0)
    planted = _unit(torch.randn(12, 16, generator=generator, dtype=torch.float64))
    which = torch.stack([torch.randperm(12, generator=generator)[:2] for _ in range(1500)])
    amount = torch.randn(1500, 2, 1, generator=generator, dtype=torch.float64)
    signals = (planted[which] * amount).sum(1)
    learned = learn_dictionary(signals, atoms=12, sparsity=2, rounds=40, generator=generator)
    torch.testing.assert_close(learned.norm(dim=1), torch.ones(12, dtype=torch.float64))
    likeness = (planted @ learned.T).abs().amax(1)
    assert int((likeness > 0.99).sum()) >= 10
