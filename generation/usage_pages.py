"""The console's charts: what was asked for, delivered, charged and how fast, by day, and by key or model.

Images and credits are the ledger's, exact to the minute; requests, errors, cache hits and seconds are the clock's sums
(`generation.figures`), some minutes old. Each chart has its numbers beside it as a table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing import usage
from easel.database import rows
from easel.largest import largest
from generation.charts import Chart
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

SPANS: Final = (7, 30, 90)
GROUPS: Final = {
    "all": gettext_lazy("Everything together"),
    "key": gettext_lazy("By API key"),
    "model": gettext_lazy("By model"),
}
MOST_SERIES: Final = 6  # lines that can still be told apart; the rest are one

_FIGURES: Final = largest(
    "SELECT day, name, requests, failed, rejected, cached, p50_seconds, p95_seconds FROM generation_dayfigures "
    "WHERE tenant_id = %s AND by = %s AND day BETWEEN %s AND %s",
    {
        "requests": "bigint", "failed": "bigint", "rejected": "bigint", "cached": "bigint",
        "p50_seconds": "float", "p95_seconds": "float",
    },
    most=MOST_SERIES,
)  # fmt: skip

Values = dict[tuple[date, str | None], float | None]  # the name None: what is not told apart


@console_page
def usage_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    span = next((each for each in SPANS if str(each) == request.GET.get("days")), 30)
    by = request.GET.get("by", "all")
    by = by if by in GROUPS else "all"
    today = datetime.now(UTC).date()
    first = today - timedelta(days=span - 1)
    context = {
        "visitor": visitor, "charts": charts(visitor.tenant_id, by, first=first, last=today), "span": span,
        "spans": SPANS, "by": by, "groups": GROUPS.items(), "first": first, "last": today,
    }  # fmt: skip
    return render(request, "console/usage/page.html", context)


def charts(tenant_id: UUID, by: str, *, first: date, last: date) -> list[Chart]:
    """Two statements, whatever there is."""
    with tenant_scope(tenant_id):
        charged = usage.by_day(tenant_id, first=first, last=last, by=by, most=MOST_SERIES)
        figures = rows(_FIGURES, [tenant_id, by, first, last])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]

    def of_ledger(name: str) -> Values:
        return {(each.day, _named(by, each.name)): getattr(each, name) for each in charged}

    def of_clock(column: int) -> Values:
        return {(row[0], _named(by, row[1])): row[column] for row in figures}

    return [_chart(make, days, of_ledger, of_clock) for make in _CHARTS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Which figures a chart is made of: a column of the ledger's, or columns of the clock's with their names."""

    id: str
    title: Promise
    unit: Promise
    ledger: str = ""
    clock: tuple[tuple[int, Promise | None], ...] = ()
    kind: str = "bars"


_CHARTS: Final = (
    _Plan(id="requests", title=gettext_lazy("Requests"), unit=gettext_lazy("requests"), clock=((2, None),)),
    _Plan(id="images", title=gettext_lazy("Images delivered"), unit=gettext_lazy("images"), ledger="images"),
    _Plan(id="credits", title=gettext_lazy("Credits"), unit=gettext_lazy("credits"), ledger="credits"),
    _Plan(
        id="latency", title=gettext_lazy("Seconds from request to picture"), unit=gettext_lazy("seconds"),
        clock=((6, gettext_lazy("half of them (p50)")), (7, gettext_lazy("95 of 100 (p95)"))), kind="lines",
    ),
    _Plan(id="errors", title=gettext_lazy("Failed and rejected"), unit=gettext_lazy("requests"),
          clock=((3, gettext_lazy("failed")), (4, gettext_lazy("rejected")))),
    _Plan(id="cached", title=gettext_lazy("Answers from the cache"), unit=gettext_lazy("requests"), clock=((5, None),)),
)  # fmt: skip


def _chart(plan: _Plan, days: list[date], ledger: Callable[[str], Values], clock: Callable[[int], Values]) -> Chart:
    sums = plan.kind == "bars"
    if plan.ledger:
        series = _series(ledger(plan.ledger), days, "", sums)
    else:
        series = [each for column, name in plan.clock for each in _series(clock(column), days, str(name or ""), sums)]
    if series[0][0] == "":
        series[0] = (str(plan.unit), series[0][1])
    return Chart(id=plan.id, title=plan.title, unit=plan.unit, days=days, series=series, kind=plan.kind, sums=sums)


def _series(values: Values, days: list[date], what: str, sums: bool) -> list[tuple[str, list[float | None]]]:
    """One for each group, the largest first; of more than MOST_SERIES the rest is one where it can be added up."""
    weight: dict[str, float] = {}
    for (_day, group), value in values.items():
        if group is not None:
            weight[group] = weight.get(group, 0) + (value or 0)
    ordered = sorted(weight, key=lambda group: (-weight[group], group)) or [""]
    shown = ordered[:MOST_SERIES]
    rest = {group for _day, group in values}.difference(shown)
    empty = 0 if sums else None
    found = [(_joined(group, what), [values.get((day, group), empty) for day in days]) for group in shown]
    if rest and sums:
        others: list[float | None] = [sum(values.get((day, group)) or 0 for group in rest) for day in days]
        found.append((_joined(_("others"), what), others))
    return found


def _joined(group: str, what: str) -> str:
    return " · ".join(part for part in (group, what) if part)


def _named(by: str, name: str | None) -> str | None:
    return _("in the console") if name == "" and by != "all" else name


urlpatterns = [path("console/usage", usage_page, name="usage-page")]
