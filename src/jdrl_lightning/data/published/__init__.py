"""Published data sets, one per module: their folder layout, and which files are partners."""
