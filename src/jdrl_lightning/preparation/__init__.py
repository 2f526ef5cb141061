"""Preparing pairs for training: cutting them into patches, registering them."""
