"""One stack of real services for the whole session. Tests commit for real; each makes tenants of its own.

It starts when this file is imported: conftests further down import models, and models need the settings.
"""

import pytest

from easel.embedded.stack import Stack
from tests.stack import set_up_django, start_stack, stop_stack

STACK = start_stack()
try:
    set_up_django()
except BaseException:
    stop_stack(STACK)
    raise


from tests import contract  # noqa: E402
from tests.cast import ada, bob  # noqa: E402, F401  fixtures for all; the cast needs models, too

contract.install()


def pytest_unconfigure(config: pytest.Config) -> None:
    stop_stack(STACK)


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The running services. `start`, `halt`, `restart`, `kill` them by name; leave them as you found them."""
    return STACK
