"""Several trainings: the table of their results, and searches over their settings."""
