"""Serving frameworks beside which the engine is measured. They run in a virtual environment of their own."""
