"""Equal requests in flight draw once, and nobody pays for what was not delivered."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import override_settings

from billing import ledger
from billing.models import Entry, Hold
from easel import clock
from easel.database import changed, platform_role, rows
from easel.identifiers import new_id
from generation import inflight, sharing
from generation.cancel import stop
from generation.copies import Original
from generation.jobs import Job
from generation.models import Generation, Image, InFlight
from generation.source import PostgresSource
from tests.aside import aside, name, wait_for_its_lock
from tests.cast import Customer
from tests.generation.conftest import Workshop, row
from tests.generation.test_endings import delivery, expire, flow, money

source = PostgresSource()
EQUAL: dict[str, Any] = {"seed": 7, "steps": 2}


@pytest.fixture(autouse=True)
def _no_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_judges", [])


@pytest.fixture(autouse=True)
def _postgres_has_been_up_for_long() -> Iterator[None]:
    with override_settings(LEASE_SECONDS=1):
        yield


@pytest.fixture
def leader(ada: Customer, workshop: Workshop) -> UUID:
    return workshop.submit(ada, **EQUAL)


@pytest.fixture
def followers(ada: Customer, workshop: Workshop, leader: UUID) -> list[UUID]:
    return [workshop.submit(ada, **EQUAL) for _ in range(3)]


def claim(workshop: Workshop) -> Job:
    (job,) = source.claim(workshop.pool, limit=1)
    return job


def charged(customer: Customer) -> dict[UUID, int]:
    with platform_role():
        entries = Entry.objects.filter(tenant=customer.tenant, kind="charge")
        return {entry.owner_id: -entry.held_delta for entry in entries if entry.owner_id}


def statuses(generations: list[UUID]) -> list[str]:
    return [row(each).status for each in generations]


def in_flight(customer: Customer) -> list[UUID]:
    with platform_role():
        return list(InFlight.objects.filter(tenant=customer.tenant).values_list("leader_id", flat=True))


def held(customer: Customer) -> set[UUID]:
    with platform_role():
        return set(Hold.objects.filter(tenant=customer.tenant, ended_at=None).values_list("owner_id", flat=True))


def test_equal_requests_wait_for_the_first_and_get_its_pictures(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    assert {row(each).draws_with for each in followers} == {leader}
    assert flow(ada) == (1, 0), "a follower takes no place in the flow"
    assert held(ada) == {leader, *followers}, "each has a hold of its own"
    job = claim(workshop)
    assert source.claim(workshop.pool, limit=9) == []
    assert source.complete(job, [delivery(job)])
    assert statuses(followers) == ["completed"] * 3
    with platform_role():
        images = Image.objects.filter(tenant=ada.tenant)
        assert len({image.object_key for image in images}) == 1
        assert images.count() == 4
    answer = ada.client().get(f"/v1/generations/{followers[0]}").json()
    assert answer["cached"]
    assert len(answer["images"]) == 1
    assert in_flight(ada) == []
    assert flow(ada) == (0, 0)
    assert held(ada) == set()
    assert set(charged(ada)) == {leader, *followers}
    money(ada)


def test_a_follower_pays_the_price_of_a_cached_answer(ada: Customer, workshop: Workshop) -> None:
    wide = {**EQUAL, "steps": 100, "width": 512, "height": 512}
    leader, follower = workshop.submit(ada, **wide), workshop.submit(ada, **wide)
    job = claim(workshop)
    source.complete(job, [delivery(job, steps_run=100)])
    full, cached = charged(ada)[leader], charged(ada)[follower]
    assert full == row(leader).quote
    assert cached == -(-full // 10)  # 10 percent on the suite's plan, rounded up


def test_a_hundred_equal_requests_at_once_draw_once(ada: Customer, workshop: Workshop) -> None:
    client = ada.client

    def submit(_: int) -> int:
        try:
            return int(client().post("/v1/generations", workshop.body(**EQUAL), format="json").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(submit, range(100)))
    assert set(codes) == {202}
    assert flow(ada) == (1, 0)
    job = claim(workshop)
    assert source.claim(workshop.pool, limit=9) == []
    source.complete(job, [delivery(job)])
    with platform_role():
        assert Generation.objects.filter(tenant=ada.tenant, status="completed").count() == 100
    assert len(charged(ada)) == 100
    money(ada)


def test_requests_without_a_seed_share_only_if_they_say_so(ada: Customer, workshop: Workshop) -> None:
    apart = [workshop.submit(ada) for _ in range(2)]
    assert {row(each).draws_with for each in apart} == {None}
    first, second = workshop.submit(ada, reuse=True), workshop.submit(ada, reuse=True)
    assert row(second).draws_with == first
    assert row(second).seed == row(first).seed


def test_who_says_no_reuse_draws_for_itself(ada: Customer, workshop: Workshop, leader: UUID) -> None:
    assert row(workshop.submit(ada, **EQUAL, reuse=False)).draws_with is None


def test_tenants_never_share(ada: Customer, bob: Customer, workshop: Workshop, leader: UUID) -> None:
    assert row(workshop.submit(bob, **EQUAL)).draws_with is None


def test_whoever_may_not_be_sent_to_a_fallback_shares_with_its_kind_only(
    ada: Customer, workshop: Workshop, leader: UUID
) -> None:
    assert row(workshop.submit(ada, **EQUAL, fallback=False)).draws_with is None


def test_a_leader_that_fails_leaves_the_lead_to_the_oldest_follower(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    job = claim(workshop)
    source.fail(job, code="engine_failed", detail="")
    oldest, *others = followers
    assert [row(each).draws_with for each in followers] == [None, oldest, oldest]
    assert set(in_flight(ada)) == {oldest}
    assert flow(ada) == (1, 0)
    assert charged(ada) == {}
    second = claim(workshop)
    assert second.generation_id == oldest
    source.complete(second, [delivery(second)])
    assert statuses([leader, oldest, *others]) == ["failed", "completed", "completed", "completed"]
    assert leader not in charged(ada)
    money(ada)


def test_a_leader_with_fewer_pictures_than_asked_does_not_answer_for_others(ada: Customer, workshop: Workshop) -> None:
    leader, follower = (workshop.submit(ada, **EQUAL, n=2) for _ in range(2))
    job = claim(workshop)
    source.complete(job, [delivery(job)])
    assert statuses([leader, follower]) == ["completed", "queued"]
    assert claim(workshop).generation_id == follower


def test_a_leader_canceled_while_it_waits_leaves_the_lead(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    ada.client().post(f"/v1/generations/{leader}/cancel")
    assert statuses([leader, followers[0]]) == ["canceled", "queued"]
    assert flow(ada) == (1, 0)
    assert claim(workshop).generation_id == followers[0]
    assert leader not in held(ada)


def test_a_leader_canceled_while_it_is_drawn_is_only_detached(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    job = claim(workshop)
    ada.client().post(f"/v1/generations/{leader}/cancel")
    oldest = followers[0]
    assert statuses([leader, oldest]) == ["canceled", "running"]
    assert row(oldest).lease_id == job.lease_id
    assert source.canceled([job.lease_id]) == set(), "the worker is not told to stop"
    assert flow(ada) == (0, 1)
    assert source.renew([job.lease_id]) == {job.lease_id}
    assert source.complete(job, [delivery(job)])
    assert statuses([leader, *followers]) == ["canceled", "completed", "completed", "completed"]
    assert set(charged(ada)) == set(followers)
    assert flow(ada) == (0, 0)
    money(ada)


def test_a_detached_leaders_drawing_may_fail_or_be_given_back(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    job = claim(workshop)
    ada.client().post(f"/v1/generations/{leader}/cancel")
    assert source.give_back(job, counted=False)
    assert (row(followers[0]).status, row(followers[0]).attempts) == ("queued", 0)
    again = claim(workshop)
    assert again.generation_id == followers[0]
    assert source.fail(again, code="engine_failed", detail="")
    assert row(followers[1]).draws_with is None
    assert flow(ada) == (1, 0)
    assert charged(ada) == {}


@pytest.mark.parametrize("way", ["cancel", "delete"])
def test_who_joins_a_leader_that_is_being_stopped_is_drawn_anew(
    way: str, ada: Customer, workshop: Workshop, leader: UUID
) -> None:
    job = claim(workshop)
    ada.client().post(f"/v1/generations/{leader}/cancel")
    follower = workshop.submit(ada, **EQUAL)
    assert row(follower).draws_with == leader
    if way == "cancel":
        ada.client().post(f"/v1/generations/{leader}/cancel")
    else:
        ada.client().delete(f"/v1/generations/{leader}")
    assert source.cancel(job, [], begun=[1])
    assert (row(leader).status, row(follower).status, row(follower).draws_with) == ("canceled", "queued", None)
    assert follower not in charged(ada)
    assert claim(workshop).generation_id == follower


def test_a_follower_is_canceled_by_itself_and_for_nothing(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    ada.client().post(f"/v1/generations/{followers[1]}/cancel")
    assert flow(ada) == (1, 0)
    job = claim(workshop)
    source.complete(job, [delivery(job)])
    assert statuses(followers) == ["completed", "canceled", "completed"]
    assert followers[1] not in charged(ada)
    money(ada)


def test_followers_stay_with_a_leader_whose_worker_was_lost(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    job = claim(workshop)
    expire(job)
    clock.perform("take_back_expired_leases")
    assert {row(each).draws_with for each in followers} == {leader}
    again = claim(workshop)
    assert again.generation_id == leader
    assert not source.complete(job, [delivery(job)]), "the lost worker comes too late"
    assert statuses(followers) == ["queued"] * 3
    source.complete(again, [delivery(again)])
    assert statuses(followers) == ["completed"] * 3


def test_a_stricter_policy_of_the_followers_key_refuses_it_for_nothing(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID]
) -> None:
    strict, unsure = followers[0], followers[1]
    keys = {row(strict).key_id}
    seen: list[UUID] = []

    def judge(tenant_id: UUID, key_id: UUID | None, original: Original) -> sharing.Verdict:
        assert (tenant_id, original.generation_id) == (ada.id, leader)
        assert key_id in keys
        seen.append(original.generation_id)
        return ("block", "review", "allow")[len(seen) - 1]

    sharing.on_reuse(judge)
    job = claim(workshop)
    source.complete(job, [delivery(job)])
    assert statuses(followers) == ["rejected", "queued", "completed"]
    assert ada.client().get(f"/v1/generations/{strict}").json()["images"] == []
    assert strict not in charged(ada)
    assert claim(workshop).generation_id == unsure, "in doubt it is drawn and judged for itself"


@pytest.fixture
def unserved(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker dies between the leader's ending and the followers'."""
    from generation import inflight

    with monkeypatch.context() as patch:
        patch.setattr(inflight, "_when_completed", [])
        yield


def test_followers_left_behind_by_a_dead_worker_are_served_by_the_clock(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID], unserved: None
) -> None:
    job = claim(workshop)
    source.complete(job, [delivery(job)])
    assert statuses(followers) == ["queued"] * 3
    clock.perform("serve_left_followers")
    assert statuses(followers) == ["completed"] * 3
    money(ada)


def test_a_follower_whose_hold_is_gone_keeps_no_other_from_being_served(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID], unserved: None
) -> None:
    job, (first, *others) = claim(workshop), followers
    source.complete(job, [delivery(job)])
    with platform_role():
        ledger.release(ada.id, first)
    try:
        clock.perform("serve_left_followers")
        assert (row(first).status, statuses(others)) == ("queued", ["completed"] * 2)
    finally:
        with platform_role():
            ended = "UPDATE generation_generation SET status = 'canceled', finished_at = now(), draws_with = NULL "
            changed(ended + "WHERE id = %s", [first])


# --- no circle of locks ------------------------------------------------------------------------------------


def lock_wallet(customer: Customer) -> None:
    rows("SELECT 1 FROM billing_wallet WHERE tenant_id = %s FOR UPDATE", [customer.id])


def end(other: UUID) -> None:
    """As an ending begins, which takes the wallet next."""
    rows("SELECT 1 FROM generation_generation WHERE id = %s FOR NO KEY UPDATE", [other])


def join(other: UUID) -> None:
    """As a submission begins that follows it, which takes the wallet next."""
    ((tenant_id, fingerprint),) = rows(
        "SELECT tenant_id, fingerprint FROM generation_inflight WHERE leader_id = %s", [other]
    )
    found = inflight.join(tenant_id, new_id(), [bytes(fingerprint)])
    assert found is not None
    assert found.generation_id == other


@pytest.mark.parametrize("begin", [end, join])
def test_a_cancel_that_detaches_a_leader_waits_for_nobody_with_the_wallet_locked(
    ada: Customer, workshop: Workshop, leader: UUID, followers: list[UUID], begin: Callable[[UUID], None]
) -> None:
    assert claim(workshop).generation_id == leader
    other = workshop.submit(ada, seed=8, steps=2)
    with aside() as somebody, aside() as canceling:
        somebody.do(lambda: begin(other))
        name(canceling, "a cancel of two")
        canceling.begin(lambda: stop(ada.id, [leader, other]))
        wait_for_its_lock("a cancel of two")
        somebody.do(lambda: lock_wallet(ada))
        somebody.commit()
        assert set(canceling.answer().canceled) == {leader, other}
    assert statuses([leader, followers[0], other]) == ["canceled", "running", "canceled"]
    money(ada)
