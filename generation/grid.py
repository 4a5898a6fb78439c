"""The playground's X/Y grid: two parameters, each with a few values, and a picture for every pair from one seed."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from easel.problems import invalid
from generation import playground_form, tags

AXES: Final[dict[str, Promise]] = {
    "steps": _("Steps"),
    "cfg_scale": _("Guidance"),
    "sampler": _("Sampler"),
    "seed": _("Seed"),
    "strength": _("Strength"),
    "model": _("Model"),
}
MOST_CELLS: Final = 16


@dataclass(frozen=True, slots=True)
class Grid:
    across: str
    columns: list[str]
    down: str
    rows: list[str]
    asked: Mapping[str, Any]

    @classmethod
    def read(cls, form: QueryDict, asked: Mapping[str, Any]) -> "Grid":
        """Raises Problem for the field that is wrong."""
        across, down = form.get("x_axis", ""), form.get("y_axis", "")
        for field, axis in (("x_axis", across), ("y_axis", down)):
            if axis not in AXES:
                raise invalid(field, "invalid_choice", f"One of {', '.join(AXES)}.")
        if across == down:
            raise invalid("y_axis", "same_axis", "Choose two different parameters.")
        columns, rows = _values(form, "x_values"), _values(form, "y_values")
        if len(columns) * len(rows) > MOST_CELLS:
            raise invalid("y_values", "too_many_cells", f"At most {MOST_CELLS} pictures in one grid.")
        return cls(across, columns, down, rows, {**asked, "n": 1, "seed": asked.get("seed", secrets.randbelow(2**32))})

    @property
    def across_name(self) -> Promise:
        return AXES[self.across]

    @property
    def down_name(self) -> Promise:
        return AXES[self.down]

    def requests(self) -> list[list[dict[str, Any]]]:
        """The fields of each cell's generation, row by row."""
        return [
            [{**self.asked, **_typed(self.down, row), **_typed(self.across, column)} for column in self.columns]
            for row in self.rows
        ]


def _typed(axis: str, value: str) -> dict[str, Any]:
    read = playground_form.fields({axis: value, "init_image": "x" if axis == "strength" else ""})
    return {axis: read[axis]}


def _values(form: QueryDict, field: str) -> list[str]:
    values = tags.listed(form.get(field, ""))
    if not values:
        raise invalid(field, "required", "Write some values with commas between them.")
    return list(dict.fromkeys(values))
