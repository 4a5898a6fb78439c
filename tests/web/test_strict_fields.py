"""A form refuses what it does not know, and what is too long, without looking at all of it."""

from typing import Any

import pytest
from rest_framework import serializers

from easel.fields import MOST_UNKNOWN, StrictForm, StrictInteger, StrictList
from easel.problems import MOST_ERRORS, as_problem
from generation.compat.fields import Fields


class Counted(StrictInteger):
    looks = 0

    def to_internal_value(self, data: Any) -> int:
        Counted.looks += 1
        return super().to_internal_value(data)


class Form(StrictForm):
    some = StrictList(child=Counted(), max_length=3, required=False)
    any = serializers.ListField(child=StrictInteger(), required=False)


def refused(sent: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(serializers.ValidationError) as error:
        Form(data=sent).is_valid(raise_exception=True)
    return [(each.field, each.code) for each in as_problem(error.value).errors]


def test_a_list_that_is_too_long_is_refused_before_its_items_are_looked_at() -> None:
    Counted.looks = 0
    assert refused({"some": [1, 2, 3, "x"]}) == [("some", "max_length")]
    assert Counted.looks == 0
    assert refused({"some": [1, 2, "x"]}) == [("some.2", "invalid")]
    form = Form(data={"some": [1, 2, 3]})
    assert form.is_valid()
    assert form.validated_data == {"some": [1, 2, 3]}


def test_no_more_than_some_unknown_fields_are_named() -> None:
    assert refused({f"x{number}": 1 for number in range(1000)}) == [
        (f"x{number}", "unknown_field") for number in range(MOST_UNKNOWN)
    ]


def test_a_dialect_names_no_more_of_them_either() -> None:
    fields = Fields({f"x{number}": 1 for number in range(1000)})
    with pytest.raises(serializers.ValidationError) as error:
        fields.none_left("Not here.")
    assert len(as_problem(error.value).errors) == MOST_UNKNOWN


def test_an_answer_tells_of_so_many_errors_and_no_more() -> None:
    assert len(refused({"any": ["x"] * 1000})) == MOST_ERRORS
