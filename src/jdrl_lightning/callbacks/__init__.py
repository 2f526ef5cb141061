"""What happens around the training steps: stages, pictures, quality, checkpoints."""
