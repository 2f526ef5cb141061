"""The demonstration: four ways of training on the same misaligned pairs, measured against the known truth."""
