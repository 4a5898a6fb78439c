"""A store that does not answer is left alone, by all processes, and asked again by one caller at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.conf import settings
from prometheus_client import REGISTRY

from easel import breaker as breakers
from easel.breaker_state import Rules
from easel.storage import ObjectMissing, S3Storage, StorageLeftAlone, StorageRefused, StorageUnavailable
from easel.storage_guard import StorageGuard
from generation import media
from generation.media import address
from tests.cast import Customer
from tests.chaos.proxy import FaultProxy
from tests.generation.conftest import until
from tests.generation.delivered import delivered

FULL = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nContent-Length: 69\r\nConnection: close\r\n"
    b"\r\n<Error><Code>InsufficientStorage</Code><Message>full</Message></Error>"
)
SHORT = Rules(failures=3, open_seconds=0.3, longest_open_seconds=0.3, probe_seconds=20)
LONG = Rules(failures=3, open_seconds=40, longest_open_seconds=40, probe_seconds=20)


@pytest.fixture(scope="module")
def proxy() -> FaultProxy:
    parts = urlsplit(settings.S3["endpoint"])
    return FaultProxy((str(parts.hostname), int(parts.port or 0)))


@pytest.fixture(autouse=True)
def _healed(proxy: FaultProxy) -> Iterator[None]:
    yield
    proxy.heal()


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test/{uuid4().hex}"
    yield name
    StorageGuard(name).reset()


def make(proxy: FaultProxy, name: str, rules: Rules = LONG, **given: str) -> S3Storage:
    """What one process has: equal names share their state."""
    place = {**settings.S3, "endpoint": f"http://127.0.0.1:{proxy.port}", **given}
    return S3Storage(**place, guard=StorageGuard(name, rules=rules))


def fill(store: S3Storage, proxy: FaultProxy) -> None:
    """Until it is left alone."""
    proxy.answer(FULL)
    for _ in range(3):
        with pytest.raises(StorageUnavailable, match="507"):
            store.put("t/1", b"1", "text/plain")


def turned(to: str) -> float:
    return REGISTRY.get_sample_value("easel_breaker_turns_total", {"name": "storage", "to": to}) or 0.0


def test_it_is_left_alone_after_three_calls_without_an_answer(proxy: FaultProxy, name: str) -> None:
    before = turned("open")
    fill(make(proxy, name), proxy)
    assert turned("open") == before + 1
    breakers.count_open_breakers()
    assert REGISTRY.get_sample_value("easel_breaker_open", {"name": "storage"}) == 1
    proxy.heal()
    with pytest.raises(StorageLeftAlone) as refused:  # by another process, too, and though it would answer
        make(proxy, name).put("t/1", b"1", "text/plain")
    assert 38 <= refused.value.retry_after <= 40


def test_a_store_that_is_full_is_still_read_and_cleared(proxy: FaultProxy, name: str) -> None:
    store, key = make(proxy, name), f"t/{name}"
    store.put(key, b"kept", "text/plain")
    fill(store, proxy)
    proxy.heal()
    assert (store.get(key), list(store.keys(key))) == (b"kept", [key])
    store.delete(key)
    assert not store.exists(key)


def test_missing_objects_and_refusals_say_nothing_of_its_health(proxy: FaultProxy, name: str) -> None:
    store = make(proxy, name)
    for _ in range(4):
        with pytest.raises(ObjectMissing):
            store.get(f"t/{name}/nothing")
    stranger = make(proxy, name, secret_key="wrong")
    for _ in range(4):
        with pytest.raises(StorageRefused):
            stranger.put("t/1", b"1", "text/plain")
    store.put(f"t/{name}", b"1", "text/plain")
    store.delete(f"t/{name}")


def test_one_caller_asks_whether_it_is_back_and_the_first_answer_opens_it_for_all(proxy: FaultProxy, name: str) -> None:
    processes = [make(proxy, name, SHORT) for _ in range(6)]
    fill(processes[0], proxy)
    before = turned("open_again")

    def ask(store: S3Storage) -> str:
        try:
            store.put(f"t/{name}", b"1", "text/plain")
        except StorageUnavailable as error:
            return type(error).__name__
        return "stored"

    with ThreadPoolExecutor(len(processes)) as threads:

        def asked() -> list[str]:
            return sorted(threads.map(ask, processes))

        until(lambda: "StorageUnavailable" in asked())
        assert turned("open_again") > before
        until(lambda: breakers.Breaker(f"storage:{name}:write").state().due)
        assert asked().count("StorageUnavailable") == 1, "one asks, the others are sent away"
        proxy.heal()
        closed = turned("closed")
        until(lambda: "stored" in asked())
        assert asked() == ["stored"] * len(processes)
        assert turned("closed") == closed + 1
    processes[0].delete(f"t/{name}")


def test_a_line_that_is_cut_counts_and_the_readiness_probe_asks_in_any_case(proxy: FaultProxy, name: str) -> None:
    store = make(proxy, name, Rules(failures=1, open_seconds=40, longest_open_seconds=40))
    proxy.cut()
    with pytest.raises(StorageUnavailable):
        store.head("t/1")
    proxy.heal()
    with pytest.raises(StorageLeftAlone):
        store.head("t/1")
    store.check()


def test_a_picture_is_answered_at_once_with_when_to_come_back(
    ada: Customer, proxy: FaultProxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = delivered(ada)
    store = make(proxy, name, Rules(failures=1, open_seconds=40, longest_open_seconds=40))
    monkeypatch.setattr(media, "storage", lambda: store)
    proxy.answer(FULL)
    path = address(image, base_url="")
    first, second = ada.client().get(path), ada.client().get(path)
    assert (first.status_code, first["Retry-After"]) == (503, "5")
    assert second.status_code == 503
    assert second.json()["code"] == "overloaded"
    assert 38 <= int(second["Retry-After"]) <= 40
