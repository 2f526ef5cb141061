"""Batched sparse coding of small signals: orthogonal matching pursuit and dictionary learning."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Code", "learn_dictionary", "pursue"]

RIDGE = 1e-5  # on the normal equations: two atoms may be nearly identical


class Code(NamedTuple):
    """Atoms selected for each signal.

    Attributes:
        support: ``(n, most)``, indices of the atoms in order of selection; -1 beyond ``taken``.
        taken: ``(n,)``, number of atoms.
        error: ``(n,)``, norm of the residual.
    """

    support: Tensor
    taken: Tensor
    error: Tensor


def pursue(signals: Tensor, dictionary: Tensor, tolerance: Tensor, most: int) -> Code:
    """Orthogonal matching pursuit: select the atom most correlated with the residual, project, repeat.

    Selected atoms are orthogonalised (Gram-Schmidt), so that no linear system is solved.

    Args:
        signals: ``(n, d)``.
        dictionary: ``(k, d)``, atoms of norm 1.
        tolerance: ``(n,)``, norm of the residual at which to stop.
        most: largest number of atoms per signal, at most ``min(k, d)``.
    """
    n = len(signals)
    support = torch.full((n, most), -1, dtype=torch.long, device=signals.device)
    taken = torch.zeros(n, dtype=torch.long, device=signals.device)
    error = signals.norm(dim=1)
    active = (error > tolerance).nonzero().flatten()
    rest, basis = signals[active], signals.new_zeros(len(active), 0, signals.shape[1])
    for step in range(most):
        if len(active) == 0:
            break
        best = (rest @ dictionary.T).abs().argmax(1)
        atom = dictionary[best]
        atom = atom - torch.einsum("nsd,ns->nd", basis, torch.einsum("nsd,nd->ns", basis, atom))
        atom = atom / atom.norm(dim=1, keepdim=True).clamp_min(1e-6)
        rest = rest - (rest * atom).sum(1, keepdim=True) * atom
        support[active, step], taken[active] = best, step + 1
        error[active] = rest.norm(dim=1)
        going = error[active] > tolerance[active]
        active, rest = active[going], rest[going]
        basis = torch.cat([basis[going], atom[going, None]], dim=1)
    return Code(support, taken, error)


def learn_dictionary(signals: Tensor, atoms: int, sparsity: int, rounds: int, generator: torch.Generator) -> Tensor:
    """Learn a dictionary for sparse coding (method of optimal directions, Engan et al. 1999).

    Alternates between coding every signal with ``sparsity`` atoms and the least-squares dictionary of these codes,
    ``Yᵀ X (Xᵀ X)⁻¹``. Unused atoms are replaced by the signals with the largest error.

    Args:
        signals: ``(n, d)``, ``n`` much larger than ``atoms``.
        atoms: size of the dictionary.
        sparsity: atoms per signal.
        rounds: number of alternations.
        generator: draws the signals that initialise the atoms.

    Returns:
        ``(atoms, d)``, each of norm 1.
    """
    start = torch.randperm(len(signals), generator=generator)[:atoms]
    dictionary = _unit(signals[start])
    none = signals.new_zeros(len(signals))
    for _ in range(rounds):
        code = pursue(signals, dictionary, none, sparsity)
        coefficients = _coefficients(signals, dictionary, code)
        normal = coefficients.T @ coefficients
        used = normal.diagonal() > 1e-9 * normal.diagonal().amax()
        fitted = torch.linalg.solve(normal + torch.diag((~used).to(normal)), coefficients.T @ signals)
        worst = signals[code.error.argsort(descending=True, stable=True)[:atoms]]
        dictionary = _unit(torch.where(used[:, None], fitted, worst))
    return dictionary


def _coefficients(signals: Tensor, dictionary: Tensor, code: Code) -> Tensor:
    """Least-squares coefficients on the support of each signal, ``(n, k)``."""
    used = code.support >= 0
    chosen = dictionary[code.support.clamp_min(0)] * used[..., None]
    gram = chosen @ chosen.transpose(1, 2) + torch.diag_embed((~used).to(chosen) + RIDGE)
    solved = torch.linalg.solve(gram, chosen @ signals[..., None])[..., 0] * used
    return signals.new_zeros(len(signals), len(dictionary)).scatter_add(1, code.support.clamp_min(0), solved)


def _unit(atoms: Tensor) -> Tensor:
    return atoms / atoms.norm(dim=1, keepdim=True).clamp_min(1e-12)
