"""The estimator that warps the sharp image: by default not the one of the training, identified by its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.deformed_gt_flow import chosen_flow, flow_note, identified, trained_with


def test_by_default_it_is_not_the_one_of_the_training() -> None:
    trainings = [{"objective": {"flow": {"name": name}}} for name in ("gauss_newton", "tvl1", "pwcnet")]
    assert [trained_with(t) for t in (*trainings, {"objective": {}}, None)] == [
        "gauss_newton", "tvl1", "pwcnet", "none", None
    ]  # fmt: skip
    for trained in ("gauss_newton", "tvl1", "pwcnet", "none", None):
        chosen = chosen_flow(None, trained)["name"]
        assert chosen != trained
        assert flow.create(chosen)
        assert "WHICH THE METHOD WAS TRAINED WITH" not in flow_note(chosen, trained, "bicubic")
    assert chosen_flow({"name": "pwcnet", "weights": "x"}, "pwcnet") == {"name": "pwcnet", "weights": "x"}
    assert "WHICH THE METHOD WAS TRAINED WITH" in flow_note("pwcnet", "pwcnet", "bicubic")
    with pytest.raises(UserError, match=r"flow=oracle does not look at images; leave flow"):
        chosen_flow({"name": "oracle"}, None)


def test_weights_are_identified_by_their_content(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.pth").write_bytes(b"same")
    first, second = (identified({"name": "pwcnet", "weights": str(tmp_path / f / "net.pth")}) for f in ("a", "b"))
    assert first == second
    (tmp_path / "b" / "net.pth").write_bytes(b"other")
    assert identified({"name": "pwcnet", "weights": str(tmp_path / "b" / "net.pth")}) != first
    assert identified({"name": "raft_small", "iterations": 12}) == {"name": "raft_small", "iterations": 12}
