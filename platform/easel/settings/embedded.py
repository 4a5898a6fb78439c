"""One machine, services started by Easel's own supervisor, plain HTTP on the loopback."""

from easel.settings.base import *  # noqa: F403
