"""Sweeps: the table of results, and hyperparameter search."""
