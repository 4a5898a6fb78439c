"""The workshop of tests/generation, here too."""

from tests.generation.conftest import production, tiny_folder, workshop

__all__ = ["production", "tiny_folder", "workshop"]
