"""The charts of usage: the largest are told apart and the others together, however many there are."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import translation

from billing import usage
from easel.database import atomic, changed, platform_role
from generation import usage_pages
from generation.charts import Chart
from tests.cast import Customer
from tests.counting import queries
from tests.tenants.people import let_in, person

MODELS, DAYS = 120, 90
LAST = datetime.now(UTC).date()
FIRST = LAST - timedelta(days=DAYS - 1)

_USED = """
INSERT INTO billing_usage (id, tenant_id, day, key_id, model, status, generations, images, charged, refunded)
SELECT gen_random_uuid(), %(tenant)s, day, '00000000-0000-0000-0000-000000000000', 'm' || number, 'completed', 1,
    number, 1000 - number, 0
FROM generate_series(1, %(models)s) number, generate_series(%(first)s::date, %(last)s::date, '1 day') day
"""
_COUNTED = """
INSERT INTO generation_dayfigures (id, tenant_id, day, by, name, requests, failed, rejected, canceled, cached,
    p50_seconds, p95_seconds)
SELECT gen_random_uuid(), %(tenant)s, day, 'model', 'm' || number, number, 1, 0, 0, 0, number, number * 2
FROM generate_series(1, %(models)s) number, generate_series(%(first)s::date, %(last)s::date, '1 day') day
"""


@pytest.fixture
def busy(ada: Customer) -> Iterator[UUID]:
    """Uses more models on each of 90 days than one answer of the API tells. It did not happen: the books would not
    add up, so nothing of it is committed."""
    with platform_role(), atomic():
        values = {"tenant": ada.id, "models": MODELS, "first": FIRST, "last": LAST}
        changed(_USED, values)
        changed(_COUNTED, values)
        yield ada.id
        transaction.set_rollback(True, using="platform")


def chart(of: UUID, name: str, *, first: date = FIRST) -> Chart:
    with translation.override("en"):
        (found,) = [each for each in usage_pages.charts(of, "model", first=first, last=LAST) if each.id == name]
    return found


def test_more_groups_than_one_answer_holds_are_a_page_all_the_same(busy: UUID) -> None:
    with pytest.raises(usage.TooManyGroups):
        usage.totals(busy, first=FIRST, last=LAST, by=("day", "model"))
    images = chart(busy, "images")
    assert [name for name, _ in images.series] == ["m120", "m119", "m118", "m117", "m116", "m115", "others"]
    assert images.series[0][1] == [120] * DAYS
    assert images.series[-1][1] == [sum(range(1, 115))] * DAYS
    assert images.total == sum(range(1, 121)) * DAYS


def test_each_chart_tells_its_own_largest_apart(busy: UUID) -> None:
    credit = chart(busy, "credits", first=LAST)
    assert [name for name, _ in credit.series] == ["m1", "m2", "m3", "m4", "m5", "m6", "others"]
    assert credit.total == sum(1000 - number for number in range(1, 121))
    requests = chart(busy, "requests", first=LAST)
    assert (requests.series[0], len(requests.series)) == (("m120", [120]), 7)
    assert requests.total == sum(range(1, 121))


def test_seconds_are_not_added_up(busy: UUID) -> None:
    names = [name for name, _ in chart(busy, "latency", first=LAST).series]
    assert len(names) == 2 * usage_pages.MOST_SERIES
    assert not any("others" in name for name in names)


def test_the_page_opens_with_nothing_used_by_whatever_it_is_grouped(ada: Customer) -> None:
    owner = let_in(person(ada.tenant))
    for by in usage_pages.GROUPS:
        assert owner.get(f"/console/usage?by={by}").status_code == 200


def test_it_reads_few_rows_by_two_statements(busy: UUID) -> None:
    with queries() as statements:
        usage_pages.charts(busy, "model", first=FIRST, last=LAST)
    assert len([each for each in statements if "placed AS" in each]) == 2
    assert len(usage.by_day(busy, first=FIRST, last=LAST, by="model", most=6)) == (2 * 6 + 1) * DAYS
