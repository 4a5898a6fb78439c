import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from easel.embedded.stack import Stack
from easel_client import Easel, RetryPolicy
from tests.cast import Customer
from tests.sdk.command import sign_in
from tests.sdk.town import Town, town

QUICK = RetryPolicy(first=0.05, longest=0.5)


@pytest.fixture(scope="package")
def easel_town(stack: Stack) -> Iterator[Town]:
    with town(stack) as place:
        yield place


@pytest.fixture
def easel(easel_town: Town, ada: Customer) -> Iterator[Easel]:
    """Ada's client, of the running Easel."""
    with Easel(easel_town.base_url, ada.key.public_id, ada.secret, retry=QUICK) as client:
        yield client


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch, easel_town: Town, ada: Customer) -> Customer:
    """Ada, as whom the command asks."""
    sign_in(monkeypatch, easel_town.base_url, ada)
    return ada


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but a test's own, and no terminal that can show pictures."""
    monkeypatch.setenv("EASEL_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("KITTY_WINDOW_ID", raising=False)
    for name in [name for name in os.environ if name in {"EASEL_URL", "EASEL_API_KEY", "EASEL_API_SECRET"}]:
        monkeypatch.delenv(name)
