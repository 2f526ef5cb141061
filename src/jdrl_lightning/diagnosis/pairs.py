"""Whether the misalignment of pairs calls for JDRL."""

from __future__ import annotations

from jdrl_lightning.metrics.misalignment import ALIGNED_PX, Summary

__all__ = ["verdict"]

# Measured on rendered pairs, blur up to 7 px, over 95 % of the pixels: up to 0.35 px from the affine map where that is
# all there is (data.misalignment=random), from 0.7 px with nonrigid.
AFFINE_PX = 0.5


def verdict(found: Summary) -> str:
    """Whether JDRL is what these pairs need, in one or two plain sentences."""
    if len(found.unlike) > found.pairs / 4:
        return (
            f"Many pairs hardly show the same scene ({', '.join(found.unlike[:3])}): check which files are partners "
            "(data.pair_by) before any training."
        )
    if found.far > 0.25:
        return (
            "Many pairs are so far apart that flow cannot be trusted: register them roughly first "
            "(data.register=affine), then look again."
        )
    if found.p95_px < ALIGNED_PX:
        return (
            "These pairs line up to within a pixel: pixel-wise training (objective=charbonnier) is enough, and JDRL "
            "has little to gain."
        )
    if found.rest_p95_px < AFFINE_PX:
        return (
            "One affine map a pair explains the misalignment: data.register=affine with objective=charbonnier is the "
            "simple remedy; JDRL does without that step. Compare the two."
        )
    return (
        "JDRL is what these pairs need (objective=jdrl_robust): they are apart by more than a pixel, and by more than "
        "one affine map a pair could undo."
    )
