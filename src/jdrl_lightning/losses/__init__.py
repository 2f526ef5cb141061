"""Loss formulas, one a file."""
