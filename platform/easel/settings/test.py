"""The suite's settings: real services on free ports, all database roles in one process."""

from easel.settings.base import *  # noqa: F403

LOGGING = {"level": "WARNING", "form": "console", "process": PROCESS}  # noqa: F405
