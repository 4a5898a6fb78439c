"""Prompts written to train and to test the classifier, and the scripts that make them (README.md)."""
