"""What was used, exact to the ledger: sums over the roll-ups that the ledger keeps in the statement of each entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from easel.database import rows
from easel.largest import largest

# How each group is read from a roll-up. A key is told by its public id; usage that no key made has none.
GROUPS: Final = {
    "day": "usage.day",
    "key": "key.public_id",
    "model": "usage.model",
    "status": "usage.status",
}
MOST_GROUPS: Final = 10_000

# What a day is told by, besides everything together: no name.
BY: Final = {"all": "''", "key": "coalesce(key.public_id, '')", "model": "usage.model"}

_SUMS: Final = ("generations", "images", "charged", "refunded")


class TooManyGroups(Exception):
    """The period and the grouping together give more rows than one answer holds."""


def totals(tenant_id: UUID, *, first: date, last: date, by: Sequence[str]) -> list[dict[str, Any]]:
    """One dict per group with its sums, in order; `first` and `last` are days in UTC, both included. `credits` is what
    was charged less what was refunded. Needs the tenant's scope or the platform role."""
    columns = [GROUPS[name] for name in by]
    listed = ", ".join([*columns, *(f"coalesce(sum({name}), 0)::bigint" for name in _SUMS)])
    grouped = f"GROUP BY {', '.join(columns)} ORDER BY {', '.join(columns)}" if columns else ""
    found = rows(
        f"SELECT {listed} FROM billing_usage usage "  # noqa: S608  columns of GROUPS
        "LEFT JOIN tenants_apikey key ON key.tenant_id = usage.tenant_id AND key.id = usage.key_id "
        f"WHERE usage.tenant_id = %s AND usage.day BETWEEN %s AND %s {grouped} LIMIT %s",
        [tenant_id, first, last, MOST_GROUPS + 1],
    )
    if len(found) > MOST_GROUPS:
        raise TooManyGroups(f"More than {MOST_GROUPS} groups.")
    return [_named(by, row) for row in found]


@dataclass(frozen=True, slots=True)
class OfDay:
    """A day's sums of one name; None: of all that are not told apart."""

    day: date
    name: str | None
    images: int
    credits: int


def by_day(tenant_id: UUID, *, first: date, last: date, by: str, most: int) -> list[OfDay]:
    """What each day was used, by one of BY: the `most` largest, by images or credits, apart and the others together.
    Needs the tenant's scope or the platform role."""
    of_day = (
        f"SELECT usage.day, {BY[by]} AS name, usage.images, usage.charged - usage.refunded AS credits "  # noqa: S608
        "FROM billing_usage usage "
        "LEFT JOIN tenants_apikey key ON key.tenant_id = usage.tenant_id AND key.id = usage.key_id "
        "WHERE usage.tenant_id = %s AND usage.day BETWEEN %s AND %s"
    )
    sql = largest(of_day, {"images": "bigint", "credits": "bigint"}, most=most)
    return [OfDay(*row) for row in rows(sql, [tenant_id, first, last])]


def _named(by: Sequence[str], row: tuple[Any, ...]) -> dict[str, Any]:
    groups: dict[str, Any] = dict(zip(by, row, strict=False))
    if "day" in groups:
        groups["day"] = groups["day"].isoformat()
    sums = dict(zip(_SUMS, row[len(by) :], strict=True))
    return {**groups, **sums, "credits": sums["charged"] - sums["refunded"]}
