"""Easel's starter model: a small text-to-image diffusion model trained from scratch on emoji artwork.

Importing this package imports no torch; the training modules do.
"""
