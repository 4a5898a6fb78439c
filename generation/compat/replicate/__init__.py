"""Replicate's predictions under `/compat/replicate/v1`: a prediction is a generation, and its id is the same."""
