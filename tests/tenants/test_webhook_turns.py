"""One tenant's webhooks never stop another's: not by stalling, and not by their number."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Event, Lock
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.db.models.functions import Now

from easel.database import changed, platform_role, together
from easel.outbound import Answer
from tenants import delivery, delivery_turns, webhooks
from tenants.delivery import Courier
from tenants.delivery_turns import OF_ONE_TENANT, Turns
from tenants.models import WebhookDelivery, WebhookEndpoint
from tenants.scope import tenant_scope
from tests.cast import Customer, make_customer

_MANY = """
INSERT INTO tenants_webhookdelivery
    (id, tenant_id, event_id, endpoint_id, url, state, attempts, log, due_at, expires_at)
SELECT gen_random_uuid(), tenant_id, event_id, endpoint_id, %(url)s, 'pending', 0, '[]',
    now() - interval '1 hour', now() + interval '1 day'
FROM tenants_webhookdelivery CROSS JOIN generate_series(1, %(count)s) WHERE id = %(like)s
"""


@pytest.fixture(autouse=True)
def nothing_pending() -> Iterator[None]:
    """What other tests have written down is not sent from here, nor from others what this one has."""
    with platform_role():
        WebhookDelivery.objects.filter(state="pending").delete()
    yield
    with platform_role():
        WebhookDelivery.objects.filter(state="pending").delete()


@pytest.fixture
def cleo() -> Customer:
    return make_customer("Cleo")


class Receivers:
    """Everybody's: those of a host that has `stall` in its name answer when the test is over."""

    def __init__(self) -> None:
        self.over, self.told, self.most_at_once = Event(), Counter[str](), 0
        self._lock, self._now = Lock(), 0

    def send(self, method: str, url: str, **_: Any) -> Answer:
        if "stall" not in url:
            self.told[url] += 1
            return Answer(204, {}, b"", False, url)
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        self.over.wait(60)
        with self._lock:
            self._now -= 1
        return Answer(204, {}, b"", False, url)


@contextmanager
def couriers() -> Iterator[tuple[Courier, Receivers]]:
    receivers = Receivers()
    courier = Courier(send=receivers.send)
    try:
        yield courier, receivers
    finally:
        receivers.over.set()
        courier.close()


def endpoint(customer: Customer, name: str) -> WebhookEndpoint:
    with tenant_scope(customer.id):
        made, _ = webhooks.create(customer.tenant, url=f"https://{name}.example.org/hook", kinds=["balance.low"])
    return made


def emit(customer: Customer, count: int = 1) -> None:
    with tenant_scope(customer.id):
        for number in range(count):
            webhooks.emit(customer.id, "balance.low", {"percent": number}, subject=customer.id)


def many(customer: Customer, count: int, *, url: str = "") -> None:
    """So many more of the customer's, due for an hour, like the one that it has."""
    with platform_role():
        like = WebhookDelivery.objects.filter(tenant=customer.tenant).latest("id")
        changed(_MANY, {"count": count, "like": like.id, "url": url})
    with connections["owner"].cursor() as cursor:  # what Postgres does by itself soon after such a load
        cursor.execute("ANALYZE tenants_webhookdelivery")


def until(courier: Courier, happened: Callable[[], bool], *, rounds: int) -> bool:
    with platform_role():
        for _ in range(rounds):
            courier.round()
            for _ in range(20):
                if happened():
                    return True
                time.sleep(0.05)
    return False


def test_four_stalling_endpoints_of_one_do_not_delay_another(ada: Customer, bob: Customer) -> None:
    for number in range(4):
        endpoint(ada, f"stall-{number}")
    prompt = endpoint(bob, "bob")
    emit(ada, 4)
    with couriers() as (courier, receivers):
        assert until(courier, lambda: receivers.most_at_once >= OF_ONE_TENANT, rounds=2)
        emit(bob, 2)
        assert until(courier, lambda: receivers.told[prompt.url] == 2, rounds=3)
        assert receivers.most_at_once == OF_ONE_TENANT


def test_three_thousand_of_one_do_not_delay_another(ada: Customer, bob: Customer) -> None:
    crowd, prompt = endpoint(ada, "crowd"), endpoint(bob, "bob")
    emit(ada)
    many(ada, 3000)
    emit(bob)
    with couriers() as (courier, receivers):
        assert until(courier, lambda: receivers.told[prompt.url] == 1, rounds=1)
        assert until(courier, lambda: receivers.told[crowd.url] >= 4, rounds=4), "its own go on meanwhile"


def test_many_for_one_endpoint_leave_the_tenants_others_their_turn(ada: Customer) -> None:
    crowd = endpoint(ada, "stall-crowd")
    emit(ada)
    many(ada, 3000)
    prompt = endpoint(ada, "prompt")
    emit(ada)
    with couriers() as (courier, receivers):
        assert until(courier, lambda: receivers.told[prompt.url] == 1, rounds=2)
    assert crowd.url not in receivers.told


def test_an_address_that_is_left_alone_is_postponed_at_once_with_all_that_is_due(ada: Customer) -> None:
    ill = endpoint(ada, f"ill-{ada.id.hex}")
    emit(ada)
    many(ada, 500)
    many(ada, 3, url="https://well.example.org/hook")

    def send(method: str, url: str, **_: Any) -> Answer:
        return Answer(503 if url == ill.url else 204, {}, b"", False, url)

    def due() -> int:
        return WebhookDelivery.objects.filter(tenant=ada.tenant, url="", state="pending", due_at__lt=Now()).count()

    courier = Courier(send=send, pause=lambda _: 3600.0)
    try:
        assert until(courier, lambda: due() == 0, rounds=8)
    finally:
        courier.close()
    with platform_role():
        attempted = WebhookDelivery.objects.filter(tenant=ada.tenant, url="", attempts__gt=0)
        assert all(each.attempts == len(each.log) for each in attempted), "only what was sent is an attempt"
        assert attempted.count() < 20
        assert WebhookDelivery.objects.filter(tenant=ada.tenant, state="delivered").count() == 3


def test_turns_go_round_among_more_tenants_than_threads(ada: Customer, bob: Customer, cleo: Customer) -> None:
    cast = (ada, bob, cleo)
    for each in cast:
        endpoint(each, "round")
        emit(each)
        many(each, 20)
    with platform_role():
        turns = Turns()
        taken = [turns.take(1, under_way={})[0] for _ in range(6)]
    assert Counter(row[1] for row in taken) == {each.id: 2 for each in cast}
    assert all(first[1] != second[1] for first, second in pairwise(taken))


def test_whoever_is_beyond_what_one_round_looks_at_is_seen_in_the_next(
    ada: Customer, bob: Customer, cleo: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_turns, "TENANTS_A_ROUND", 1)
    last = max((ada, bob, cleo), key=lambda each: each.id)
    for each in (ada, bob, cleo):
        endpoint(each, "round")
        emit(each)
    with platform_role():
        WebhookDelivery.objects.exclude(tenant=last.tenant).filter(state="pending").update(due_at="2999-01-01T00:00Z")
        turns = Turns()
        taken = [row[1] for _ in range(3) for row in turns.take(8, under_way={})]
    assert taken == [last.id]


def test_what_is_not_due_or_disabled_takes_no_turn(ada: Customer, bob: Customer) -> None:
    off = endpoint(ada, "off")
    endpoint(bob, "later")
    emit(ada)
    emit(bob)
    with platform_role():
        WebhookEndpoint.objects.filter(id=off.id).update(disabled_at="2026-01-01T00:00Z")
        WebhookDelivery.objects.filter(tenant=bob.tenant).update(due_at="2999-01-01T00:00Z")
        assert Turns().take(8, under_way={}) == []


def test_a_tenants_share_counts_what_is_under_way(ada: Customer) -> None:
    for number in range(4):
        endpoint(ada, f"share-{number}")
    emit(ada)
    with platform_role():
        assert Turns().take(8, under_way={ada.id: OF_ONE_TENANT}) == []
        assert len(Turns().take(8, under_way={ada.id: OF_ONE_TENANT - 1})) == 1


def test_a_tenants_share_counts_what_another_clock_sends(ada: Customer, bob: Customer) -> None:
    for number in range(5):
        endpoint(ada, f"share-{number}")
    endpoint(bob, "bob")
    emit(ada)
    emit(bob)
    with platform_role():
        assert Counter(row[1] for row in Turns().take(8, under_way={})) == {ada.id: OF_ONE_TENANT, bob.id: 1}
        assert Turns().take(8, under_way={}) == []
        (over, *_) = WebhookDelivery.objects.filter(tenant=ada.tenant, leased_until__isnull=False)
        WebhookDelivery.objects.filter(id=over.id).update(state="delivered", leased_until=None)
        assert [row[1] for row in Turns().take(8, under_way={})] == [ada.id]


def test_a_round_reads_few_rows_however_many_wait(ada: Customer, bob: Customer) -> None:
    for each in (ada, bob):
        endpoint(each, "many")
        emit(each)
    few = read_by_a_round(ada, 20)
    assert [now - before < 20 for now, before in zip(read_by_a_round(ada, 20_000), few, strict=True)] == [True, True]


def read_by_a_round(customer: Customer, more: int) -> list[float]:
    """By each of its statements, once so many more wait. What other tests left is read, too."""
    many(customer, more)
    everybody = {"after": UUID(int=0), "upto": UUID(int=2**128 - 1), "most": 20}
    with platform_role():
        return [rows_read(delivery_turns.WAITING, everybody), rows_read(delivery.LONGEST_DUE)]


def rows_read(sql: str, parameters: dict[str, Any] | None = None) -> float:
    def of(plan: dict[str, Any]) -> float:
        passed = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        return float(passed * plan["Actual Loops"] + sum(of(each) for each in plan.get("Plans", [])))

    ((found,),) = together([delivery_turns.IN_ORDER, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}"], parameters or {})
    return of(found[0]["Plan"])
