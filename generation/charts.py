"""A chart by day, with its numbers: what a page draws with uPlot, and shows as a table beside it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.utils.functional import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`series` are names with a value for each day; `sums` whether the values of a row can be added up."""

    id: str
    title: Promise
    unit: Promise
    days: list[date]
    series: list[tuple[str, list[float | None]]]
    kind: str = "bars"  # or lines
    sums: bool = True

    @property
    def data_id(self) -> str:
        return f"{self.id}-data"

    @property
    def total(self) -> float | None:
        return sum(value or 0 for _name, values in self.series for value in values) if self.sums else None

    @property
    def rows(self) -> list[tuple[date, list[float | None]]]:
        """Newest first, days without anything left out."""
        columns = [values for _name, values in self.series]
        table = [(day, [column[number] for column in columns]) for number, day in enumerate(self.days)]
        return [row for row in reversed(table) if any(row[1])]

    @property
    def data(self) -> dict[str, Any]:
        """For the script that draws it: seconds since 1970, and a list for each series."""
        moments = [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in self.days]
        return {"kind": self.kind, "days": moments, "unit": str(self.unit),
                "series": [{"name": name, "values": values} for name, values in self.series]}  # fmt: skip
