"""Optical flow: estimators by name, warping, calibration masks."""

from __future__ import annotations

from jdrl_lightning.registry import Registry

_registry = Registry(
    "flow estimator",
    {
        "gauss_newton": "jdrl_lightning.flow.gauss_newton:GaussNewton",
        "pwcnet": "jdrl_lightning.flow.pwcnet:PWCNetFlow",
        "raft_small": "jdrl_lightning.flow.raft:raft_small",
        "raft_large": "jdrl_lightning.flow.raft:raft_large",
        "dis": "jdrl_lightning.flow.dis:DIS",
        "tvl1": "jdrl_lightning.flow.tvl1:TVL1",
        "ptlflow": "jdrl_lightning.flow.ptlflow:PTLFlow",
        "oracle": "jdrl_lightning.flow.oracle:Oracle",
        "none": "jdrl_lightning.flow.oracle:Zero",
    },
    group="jdrl_lightning.flows",
)
names = _registry.names
create = _registry.create

__all__ = ["create", "names"]
