"""The commands: composing the configuration with Hydra, and one-line messages for user errors."""
