"""Lightning callbacks and loggers: stages, panels, metrics, checkpoints, divergence."""
