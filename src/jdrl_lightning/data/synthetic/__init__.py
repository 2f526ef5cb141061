"""Rendered defocus pairs whose truth is known."""
