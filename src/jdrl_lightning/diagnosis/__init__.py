"""What the doctor command looks at."""
