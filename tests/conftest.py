"""One stack of real services for the whole session. Tests commit for real; each makes tenants of its own."""

import signal
from types import FrameType

import pytest

from easel.embedded.stack import Stack
from tests.stack import set_up_django, start_stack, stop_stack

pytest_plugins = ["tests.cast"]

STACK = pytest.StashKey[Stack]()


def pytest_configure(config: pytest.Config) -> None:
    """Before collection: test modules import models, and models need the settings."""
    if config.option.help or config.option.version:
        return
    signal.signal(signal.SIGTERM, _interrupt)  # so that a `kill` cleans up like a Ctrl-C
    config.stash[STACK] = start_stack()
    try:
        set_up_django()
    except Exception as error:  # noqa: BLE001 (until every app is there)
        print(f"Django is not set up: {error!r}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if STACK in config.stash:
        stop_stack(config.stash[STACK])
        del config.stash[STACK]


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Stack:
    """The running services. `start`, `halt`, `restart`, `kill` them by name; leave them as you found them."""
    return pytestconfig.stash[STACK]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
