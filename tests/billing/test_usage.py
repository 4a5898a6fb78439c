"""Usage is exact to the ledger, however it is grouped: a month of a hundred tenants."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing import ledger, reconciliation, usage
from easel.database import atomic, platform_role, rows
from easel.identifiers import new_id
from tenants import keys
from tests.billing.purses import tenant_with
from tests.cast import Customer

MONTH = datetime(2026, 3, 1, tzinfo=UTC)
TENANTS, KEYS, MODELS = 100, 3, ("starter", "sd15", "sdxl")
DAYS = 31


@pytest.fixture(autouse=True)
def _platform() -> Iterator[None]:
    with platform_role():
        yield


class Traffic:
    """A tenant's month, with books of its own that know nothing of the ledger's."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tenant = tenant_with(100_000)
        self.keys = [new_id() for _ in range(KEYS)]
        self.credits: Counter[tuple[UUID, str, str]] = Counter()
        self.images: Counter[tuple[UUID, str, str]] = Counter()
        self.generations: Counter[tuple[UUID, str, str]] = Counter()
        self.days: Counter[str] = Counter()
        self.settled: list[tuple[UUID, int, tuple[UUID, str, str]]] = []

    def live(self, requests: int) -> None:
        for _ in range(requests):
            at = MONTH + timedelta(seconds=self.random.randrange(DAYS * 86_400))
            with atomic():
                self.request(at)

    def request(self, at: datetime) -> None:
        owner, key, model = new_id(), self.random.choice(self.keys), self.random.choice(MODELS)
        n, each = self.random.randint(1, 4), self.random.randint(1, 30)
        ledger.hold(self.tenant, owner, n * each, key_id=key, model=model, at=at)
        status = self.random.choices(["completed", "failed", "canceled", "rejected"], [90, 4, 4, 2])[0]
        images = self.random.randint(1, n) if status == "completed" else 0
        charge = images * each if status == "completed" else (each // 2 if status == "canceled" else 0)
        # An ending may fall on the next day; usage is of the day on which it ended.
        ended = at + timedelta(seconds=self.random.randrange(120))
        charged = ledger.settle(self.tenant, owner, charge=charge, status=status, images=images, at=ended)
        self._note(ended, (key, model, status), charged, images=images, generations=1)
        if charged and self.random.random() < 0.05:
            amount = self.random.randint(1, charged)
            ledger.refund(self.tenant, owner, amount, operation_id=f"refund:{owner}", at=ended)
            self._note(ended, (key, model, status), -amount)

    def _note(
        self, at: datetime, group: tuple[UUID, str, str], credits_: int, *, images: int = 0, generations: int = 0
    ) -> None:
        self.credits[group] += credits_
        self.images[group] += images
        self.generations[group] += generations
        self.days[at.date().isoformat()] += credits_


def test_a_month_of_a_hundred_tenants_is_exact_per_key_model_status_and_day() -> None:
    everybody = [Traffic(seed) for seed in range(TENANTS)]
    for each in everybody:
        each.live(requests=each.random.randint(5, 45))
    for each in everybody:
        told = month(each.tenant, "key", "model", "status")
        assert sum(group["credits"] for group in told) == sum(each.credits.values()) == ledgers_word(each.tenant)
        by_group = month_by_id(each.tenant)
        assert by_group == {
            group: (each.generations[group], each.images[group], each.credits[group]) for group in each.generations
        }
        days = {group["day"]: group["credits"] for group in month(each.tenant, "day")}
        assert days == dict(each.days)
        for by in ("key", "model", "status"):
            assert sum(group["credits"] for group in month(each.tenant, by)) == sum(each.credits.values())
    ours = {each.tenant for each in everybody}
    differences = [each for found in reconciliation.run().values() for each in found if each.tenant_id in ours]
    assert differences == []


def month(tenant: UUID, *by: str) -> list[dict[str, Any]]:
    # An ending of the month's last minutes falls on the next day.
    return usage.totals(tenant, first=MONTH.date(), last=(MONTH + timedelta(days=DAYS)).date(), by=by)


def month_by_id(tenant: UUID) -> dict[tuple[UUID, str, str], tuple[int, int, int]]:
    """These keys have no rows of their own, so they are told apart by id."""
    found = rows(
        "SELECT key_id, model, status, sum(generations)::int, sum(images)::int, sum(charged - refunded)::int "
        "FROM billing_usage WHERE tenant_id = %s GROUP BY 1, 2, 3",
        [tenant],
    )
    return {(key, model, status): (g, i, c) for key, model, status, g, i, c in found}


def ledgers_word(tenant: UUID) -> int:
    """Charged less refunded, by the entries alone."""
    ((spent,),) = rows(
        "SELECT (-sum(held_delta) FILTER (WHERE kind = 'charge') "
        "- coalesce(sum(available_delta) FILTER (WHERE kind = 'refund'), 0))::int "
        "FROM billing_entry WHERE tenant_id = %s",
        [tenant],
    )
    return int(spent)


# --- The endpoint ------------------------------------------------------------------------------------------


def spend(customer: Customer, charge: int, *, at: datetime | None = None, **settled: Any) -> UUID:
    owner = new_id()
    ledger.hold(customer.id, owner, 100, key_id=customer.key.id, model="starter", at=at)
    ledger.settle(customer.id, owner, charge=charge, at=at, **settled)
    return owner


def test_usage_is_told_by_the_key_that_made_it(ada: Customer) -> None:
    second, _ = keys.mint(ada.tenant, name="second", scopes=["usage:read"])
    spend(ada, 30, images=2)
    owner = new_id()
    ledger.hold(ada.id, owner, 100, key_id=second.id, model="sdxl")
    ledger.settle(ada.id, owner, charge=7, images=1)
    answer = ada.client().get("/v1/usage?group_by=key,model").json()
    assert answer["group_by"] == ["key", "model"]
    assert sorted((group["key"], group["model"], group["credits"]) for group in answer["data"]) == sorted(
        [(ada.key.public_id, "starter", 30), (second.public_id, "sdxl", 7)]
    )
    assert answer["total"] == {"generations": 2, "images": 3, "charged": 37, "refunded": 0, "credits": 37}


def test_a_refund_lowers_the_credits_of_the_day_it_is_made(ada: Customer) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    owner = spend(ada, 30, at=long_ago, images=1)
    ledger.refund(ada.id, owner, 10, operation_id="refund:1")
    total = ada.client().get("/v1/usage?group_by=day").json()["total"]
    assert (total["credits"], total["refunded"]) == (-10, 10)
    first, last = long_ago.date(), datetime.now(UTC).date()
    total = ada.client().get(f"/v1/usage?from={first}&to={last}").json()["total"]
    assert (total["credits"], total["charged"]) == (20, 30)


def test_endings_without_a_charge_count_as_generations(ada: Customer) -> None:
    spend(ada, 0, status="failed")
    spend(ada, 0, status="canceled")
    spend(ada, 5, images=1)
    answer = ada.client().get("/v1/usage?group_by=status").json()
    assert {group["status"]: (group["generations"], group["credits"]) for group in answer["data"]} == {
        "failed": (1, 0), "canceled": (1, 0), "completed": (1, 5),
    }  # fmt: skip


def test_nobody_sees_anothers_usage(ada: Customer, bob: Customer) -> None:
    spend(ada, 30)
    assert bob.client().get("/v1/usage").json()["data"] == []


def test_without_any_usage_the_totals_are_zero(ada: Customer) -> None:
    assert set(ada.client().get("/v1/usage").json()["total"].values()) == {0}


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("group_by=colour", "group_by", "unknown_group"),
        ("group_by=day,day", "group_by", "unknown_group"),
        ("group_by=", "group_by", "unknown_group"),
        ("from=yesterday", "from", "not_a_date"),
        ("to=2026-02-30", "to", "not_a_date"),
        ("from=2026-03-02&to=2026-03-01", "from", "bad_period"),
        ("from=2025-01-01&to=2026-03-01", "from", "bad_period"),
        ("since=2026-03-01", "since", "unknown_field"),
        ("from=%00", "from", "invalid"),  # refused before any view sees it
    ],
)
def test_a_bad_question_is_told_what_is_wrong(ada: Customer, query: str, field: str, code: str) -> None:
    answer = ada.client().get(f"/v1/usage?{query}")
    assert answer.status_code == 400
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]


def test_usage_and_account_have_scopes_of_their_own(ada: Customer) -> None:
    key, _ = keys.mint(ada.tenant, name="narrow", scopes=["generations:read"])
    client = Customer(ada.tenant, key, "").client()
    for path in ("/v1/usage", "/v1/account"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
