"""One training: its processes, and what each of them does from configuration to results."""
