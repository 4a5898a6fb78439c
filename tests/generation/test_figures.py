"""The clock sums up days: requests, endings, cache hits and seconds, for all, by key and by model."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from easel.database import changed, platform_role
from generation import figures
from generation.models import DayFigures
from tenants import keys
from tests.cast import Customer
from tests.generation.conftest import make_workshop

TODAY = datetime.now(UTC).date()


def end(generation_id: object, status: str, *, seconds: float = 1.0, cached_from: object = None) -> None:
    with platform_role():
        changed(
            "UPDATE generation_generation SET status = %s, finished_at = created_at + make_interval(secs => %s), "
            "cached_from = %s, timings = '{\"drawing_seconds\": 0.5}' WHERE id = %s",
            [status, seconds, cached_from, generation_id],
        )


def figures_of(customer: Customer, **conditions: Any) -> DayFigures:
    with platform_role():
        figures.sum_up(TODAY)
        found: DayFigures = DayFigures.objects.get(tenant=customer.tenant, day=TODAY, **conditions)
    return found


def test_a_day_is_summed_up_by_ending_and_by_seconds(ada: Customer) -> None:
    shop = make_workshop("nowhere")
    drawn = [shop.submit(ada) for _ in range(4)]
    for number, each in enumerate(drawn):
        end(each, "completed", seconds=number + 1)
    end(shop.submit(ada), "completed", seconds=100, cached_from=drawn[0])
    end(shop.submit(ada), "failed")
    end(shop.submit(ada), "rejected")
    shop.submit(ada)  # waits still
    day = figures_of(ada, by="all")
    assert (day.requests, day.failed, day.rejected, day.canceled, day.cached) == (8, 1, 1, 0, 1)
    assert day.p50_seconds == 2.5  # what came from the cache is not in it
    assert day.p95_seconds is not None
    assert abs(day.p95_seconds - 3.85) < 1e-6


def test_figures_are_told_by_key_and_by_model_and_kept_apart_by_tenant(ada: Customer, bob: Customer) -> None:
    one, two = make_workshop("nowhere"), make_workshop("nowhere")
    for shop in (one, one, two):
        end(shop.submit(ada), "completed")
    end(one.submit(bob), "completed")
    assert figures_of(ada, by="key", name=ada.key.public_id).requests == 3
    assert figures_of(ada, by="model", name=one.model.name).requests == 2
    assert figures_of(bob, by="all").requests == 1


def test_a_second_count_replaces_the_first(ada: Customer) -> None:
    shop = make_workshop("nowhere")
    first = shop.submit(ada)
    assert figures_of(ada, by="all").requests == 1
    shop.submit(ada)
    end(first, "failed")
    again = figures_of(ada, by="all")
    assert (again.requests, again.failed) == (2, 1)


def test_what_test_keys_ask_for_counts_and_has_no_seconds(ada: Customer) -> None:
    with platform_role():
        key, secret = keys.mint(ada.tenant, name="test", scopes=sorted(keys.SCOPES), mode="test")
    end(make_workshop("nowhere").submit(Customer(ada.tenant, key, secret)), "completed")
    day = figures_of(ada, by="key", name=key.public_id)
    assert (day.requests, day.p50_seconds) == (1, None)


def test_yesterday_is_counted_for_another_hour(ada: Customer) -> None:
    midnight = datetime.combine(TODAY + timedelta(days=1), time(), UTC)
    with platform_role():
        assert TODAY in figures.due(midnight + timedelta(minutes=59))
        DayFigures.objects.create(
            tenant=ada.tenant, day=midnight.date(), by="all", requests=1, failed=0, rejected=0, canceled=0, cached=0
        )
        try:
            assert figures.due(midnight + timedelta(minutes=61)) == [midnight.date()]
            late = figures.due(midnight + timedelta(days=3))
            assert late == [midnight.date() + timedelta(days=number) for number in range(4)]
        finally:
            DayFigures.objects.filter(day=midnight.date()).delete()


def test_ids_and_days_agree(ada: Customer) -> None:
    first, next_ = figures.first_id(TODAY), figures.first_id(TODAY + timedelta(days=1))
    assert first < make_workshop("nowhere").submit(ada) < next_


def test_a_day_without_anything_has_no_figures() -> None:
    with platform_role():
        assert figures.sum_up(TODAY - timedelta(days=10_000)) == 0
