from __future__ import annotations

from pathlib import Path

from jdrl_lightning.callbacks.history import ContinuedCSVLogger


def test_rows_of_an_earlier_part_are_kept_and_those_to_be_made_again_go(tmp_path: Path) -> None:
    first = ContinuedCSVLogger(str(tmp_path))
    for step in range(5):
        first.log_metrics({"loss": step / 10}, step)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("0.5")  # killed in the middle of a row
    again = ContinuedCSVLogger(str(tmp_path))
    again.experiment.trim(2)
    again.log_metrics({"loss": 0.3, "rate": 1.0}, 3)
    assert (tmp_path / "metrics.csv").read_text().split() == [
        "loss,rate,step", "0.0,,0", "0.1,,1", "0.2,,2", "0.3,1.0,3",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
