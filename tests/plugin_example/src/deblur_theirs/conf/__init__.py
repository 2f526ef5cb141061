"""Options that every command knows once this package is installed; Hydra needs this file."""
