"""What is told of a generation while it lives, and what is kept of it for whoever was away."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from redis import Redis
from redis.client import PubSub

from easel import feed
from easel.database import changed, platform_role, rows
from easel.embedded.stack import Stack
from easel.outbound import Answer
from generation import events
from generation.production import Production
from generation.source import PostgresSource
from tenants import webhooks
from tenants.models import WebhookEvent
from tenants.scope import tenant_scope
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended
from tests.tenants.test_webhook_delivery import courier, deliver, nothing_pending  # noqa: F401  a fixture for all


@pytest.fixture
def valkey() -> Iterator["Redis"]:
    with Redis.from_url(settings.CACHE_URL) as client:
        yield client


def listen(valkey: "Redis", channel: UUID) -> PubSub:
    listening = valkey.pubsub()
    listening.subscribe(feed.channel_name(channel))
    assert listening.get_message(timeout=5) is not None  # the subscription itself
    return listening


def heard(listening: PubSub) -> list[feed.News]:
    found = []
    while (message := listening.get_message(timeout=0.3)) is not None:
        found.append(feed.parse_published(message["data"]))
    return found


def log_of(valkey: "Redis", key: str) -> list[tuple[str, str, dict[str, Any]]]:
    entries = [(news_id.decode(), json.loads(fields[b"n"])) for news_id, fields in valkey.xrange(key)]
    return [(news_id, kind, data) for news_id, (_, kind, data) in entries]


def test_a_life_is_told_from_queued_to_done(
    ada: Customer, workshop: Workshop, production: Production, valkey: "Redis"
) -> None:
    listening = listen(valkey, ada.id)
    generation = workshop.submit(ada)
    production.drain(workshop.pool)
    ended(generation)
    told = [(news.kind, news.data.get("status")) for news in heard(listening) if news.kind in {"status", "done"}]
    assert told == [("status", "queued"), ("status", "running"), ("done", "completed")]
    kept = log_of(valkey, feed.subject_log(generation))
    assert [(kind, data["status"]) for _, kind, data in kept if kind != "preview"] == told


def test_news_of_a_transaction_that_is_rolled_back_are_never_told(
    ada: Customer, workshop: Workshop, valkey: "Redis"
) -> None:
    listening = listen(valkey, ada.id)
    generation = uuid4()
    with suppress(ZeroDivisionError), tenant_scope(ada.id):
        events.publish(generation, "status", {"status": "queued"}, tenant_id=ada.id)
        raise ZeroDivisionError
    assert heard(listening) == []


def test_ids_grow_over_the_whole_channel_and_previews_are_kept_only_with_their_subject(valkey: "Redis") -> None:
    channel, one, other = uuid4(), uuid4(), uuid4()
    for subject, kind in ((one, "status"), (one, "preview"), (other, "preview"), (other, "done"), (one, "done")):
        events.publish(subject, kind, {"of": str(subject)}, tenant_id=channel)
    whole = log_of(valkey, feed.channel_log(channel))
    assert [(kind, data["of"]) for _, kind, data in whole] == [
        ("status", str(one)), ("done", str(other)), ("done", str(one)),
    ]  # fmt: skip
    ones, others = log_of(valkey, feed.subject_log(one)), log_of(valkey, feed.subject_log(other))
    assert [kind for _, kind, _ in ones] == ["status", "preview", "done"]
    assert [kind for _, kind, _ in others] == ["preview", "done"]
    ids = [tuple(map(int, news_id.split("-"))) for news_id, _, _ in [*ones, *others]]
    assert len(set(ids)) == 5
    assert [news_id for news_id, _, _ in whole] == [ones[0][0], others[1][0], ones[2][0]]


def test_progress_is_told_and_kept_nowhere(valkey: "Redis") -> None:
    channel, subject = uuid4(), uuid4()
    listening = listen(valkey, channel)
    events.publish(subject, "progress", {"progress": 0.5}, tenant_id=channel)
    assert heard(listening) == [feed.News("", str(subject), "progress", {"progress": 0.5})]
    assert valkey.exists(feed.channel_log(channel), feed.subject_log(subject)) == 0


def test_logs_are_short_and_end(valkey: "Redis") -> None:
    channel, subject = uuid4(), uuid4()
    for number in range(700):
        events.publish(subject, "preview", {"step": number}, tenant_id=channel)
    assert feed.SUBJECT_ENTRIES <= valkey.xlen(feed.subject_log(subject)) < 500
    assert feed.KEEP_ENDED_SECONDS < valkey.ttl(feed.subject_log(subject)) <= feed.KEEP_SECONDS


def test_the_log_of_what_has_ended_goes_soon_and_that_of_the_account_stays(valkey: "Redis") -> None:
    channel, subject = uuid4(), uuid4()
    events.publish(subject, "preview", {"step": 1}, tenant_id=channel)
    events.publish(subject, "done", {"status": "completed"}, tenant_id=channel)
    assert 0 < valkey.ttl(feed.subject_log(subject)) <= feed.KEEP_ENDED_SECONDS
    assert feed.KEEP_ENDED_SECONDS < valkey.ttl(feed.channel_log(channel)) <= feed.KEEP_SECONDS


def test_without_the_cache_work_goes_on_unheard(
    ada: Customer, workshop: Workshop, production: Production, stack: Stack
) -> None:
    generation = workshop.submit(ada)
    stack.halt("cache")
    try:
        production.drain(workshop.pool)
        assert ended(generation).status == "completed"
    finally:
        stack.start("cache")


def test_an_ending_is_an_event_for_webhooks_without_prompt_or_address(
    ada: Customer, workshop: Workshop, production: Production
) -> None:
    with tenant_scope(ada.id):
        webhooks.create(ada.tenant, url="https://example.org/hook", kinds=["generation.completed", "generation.failed"])
    completed = workshop.submit(ada, prompt="a secret apple", metadata={"order": "17"}, n=2)
    production.drain(workshop.pool)
    ended(completed)
    failed = workshop.submit(ada)
    (job,) = PostgresSource().claim(workshop.pool, limit=1)
    PostgresSource().fail(job, code="out_of_memory", detail="Too large.")
    with platform_role():
        told = {event.subject: event for event in WebhookEvent.objects.filter(tenant=ada.tenant)}
    assert told.keys() == {str(completed), str(failed)}
    good, bad = told[str(completed)], told[str(failed)]
    assert (good.kind, bad.kind) == ("generation.completed", "generation.failed")
    assert len(good.payload["images"]) == 2
    assert "secret apple" not in json.dumps(good.payload)
    assert bad.payload["error"] == {"code": "out_of_memory", "detail": "Too large."}


def test_what_a_customer_attached_is_told_until_it_is_erased_and_in_no_events_row(
    ada: Customer, workshop: Workshop
) -> None:
    """Deleting what waits cancels it first: its last event is written in the moment in which its metadata goes."""
    with tenant_scope(ada.id):
        webhooks.create(ada.tenant, url="https://example.org/hook", kinds=["generation.canceled"])
    kept, erased = (workshop.submit(ada, metadata={"patient": "Marlene"}, seed=seed) for seed in (1, 2))
    assert ada.client().post(f"/v1/generations/{kept}/cancel").status_code == 200
    assert ada.client().delete(f"/v1/generations/{erased}").status_code == 204
    with platform_role():
        written = rows("SELECT payload::text FROM tenants_webhookevent WHERE tenant_id = %s", [ada.id])
    assert len(written) == 2
    assert "Marlene" not in str(written)
    assert told(ada) == {str(kept): {"patient": "Marlene"}, str(erased): {}}
    assert ada.client().delete(f"/v1/generations/{kept}").status_code == 204
    with platform_role():
        changed("UPDATE tenants_webhookdelivery SET state = 'pending', ended_at = NULL WHERE tenant_id = %s", [ada.id])
    assert told(ada) == {str(kept): {}, str(erased): {}}, "nor when it is sent again"


def told(customer: Customer) -> dict[str, Any]:
    """The metadata that is sent out now, by the generation."""
    bodies: list[Any] = []

    def send(method: str, url: str, *, body: bytes, **_: Any) -> Answer:
        bodies.append(json.loads(body)["data"])
        return Answer(204, {}, b"", truncated=False, url=url)

    with courier(send=send) as made:
        deliver(made, customer)
    return {body["id"]: body["metadata"] for body in bodies if body.get("object") == "generation"}
