"""Image pairs: rendered from photographs, from textures, or the user's own."""
