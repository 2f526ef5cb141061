"""Leaves out what Lightning says that is not about the user's run."""

from __future__ import annotations

import logging
import warnings

__all__ = ["silence_lightning"]


def silence_lightning() -> None:
    """Leave out Lightning's advertisements and warnings that are not about the user's run."""
    for part in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    # Ours converts integers for any data module on purpose.
    warnings.filterwarnings("ignore", message="You have overridden `on_after_batch_transfer`")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")  # inside Lightning, with torch >= 2.11
    warnings.filterwarnings("ignore", message=".*does not have many workers")  # rendered pairs lie in memory
    # Our batch sampler knows where to resume; Lightning only looks for a loader with a state.
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # of a resumed run
    warnings.filterwarnings("ignore", message="The dirpath has changed from")  # a checkpoint of another run
    # Ours only chooses a memory layout.
    warnings.filterwarnings("ignore", message="You're using the WeightAveraging callback with a model that overrides")
    # What is logged without it is the same in all processes, or is meant to be the first one's.
    warnings.filterwarnings("ignore", message="It is recommended to use `self.log")
