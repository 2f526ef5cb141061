"""What the evaluate command is made of: what is evaluated, how it is measured, what is written, and comparisons."""
