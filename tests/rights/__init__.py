"""Encryption and data rights."""
