"""What a sweep may choose from, and who chooses: Optuna here, or a W&B server."""
