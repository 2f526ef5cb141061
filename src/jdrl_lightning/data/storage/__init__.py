"""Pairs stored for fast reading: packed in memory-mapped files, or in litdata chunks."""
