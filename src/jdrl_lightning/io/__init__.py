"""Files: images, weights, atomic writes, inter-process locks."""
