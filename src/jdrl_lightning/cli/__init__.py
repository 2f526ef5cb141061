"""Hydra on the command line: a command is composed, run, and ends in one line when the user made a mistake."""
