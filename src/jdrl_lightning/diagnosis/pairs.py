"""Which training the misalignment of the pairs calls for."""

from __future__ import annotations

from jdrl_lightning.metrics.misalignment import ALIGNED_PX, Summary

__all__ = ["recommendation", "verdict"]

# 95th percentile of the residual after an affine fit, measured on rendered pairs with blur up to 7 px: up to 0.35 px if
# the misalignment is affine (data.misalignment=random), at least 0.7 px if it is nonrigid.
AFFINE_PX = 0.5
ADVICE = {
    "unlike": "Many pairs do not seem to show the same scene ({names}): check how the files are paired (data.pair_by) "
    "before training.",
    "far": "Many pairs are so far apart that the estimated flow is unreliable: register them roughly first "
    "(data.register=affine), then run doctor again.",
    "aligned": "These pairs are aligned to within a pixel: pixel-wise training (objective=charbonnier) is enough, and "
    "JDRL has little to gain.",
    "affine": "One affine map per pair explains the misalignment: data.register=affine with objective=charbonnier is "
    "the simple remedy; JDRL needs no registration. Compare the two.",
    "misaligned": "These pairs need JDRL (objective=jdrl_robust): they are misaligned by more than a pixel, and by "
    "more than one affine map per pair can undo.",
}


def verdict(found: Summary) -> str:
    """What decides for these pairs, a key of ``ADVICE``: the first that applies."""
    if len(found.unlike) > found.pairs / 4:
        return "unlike"
    if found.far > 0.25:
        return "far"
    if found.p95_px < ALIGNED_PX:
        return "aligned"
    return "affine" if found.rest_p95_px < AFFINE_PX else "misaligned"


def recommendation(found: Summary) -> str:
    """Recommend a training for these pairs, in one or two sentences."""
    return ADVICE[verdict(found)].format(names=", ".join(found.unlike[:3]))
