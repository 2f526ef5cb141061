"""Reblurring with predicted isotropic kernels (Eq. 6-9 of the paper)."""
