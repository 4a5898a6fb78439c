"""Mechanisms every Easel app stands on. Knows no app."""

__version__ = "0.1.0"
