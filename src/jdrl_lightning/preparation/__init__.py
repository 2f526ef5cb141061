"""Pairs made ready for training: cut into patches, registered, with a report."""
