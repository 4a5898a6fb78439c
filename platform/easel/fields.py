"""Fields of request bodies that take JSON's own types and nothing that could be made into them."""

import copy
import math
from itertools import islice
from typing import Any, Final

from rest_framework import serializers

MOST_UNKNOWN: Final = 20  # unknown fields that an answer names


def lines(text: str) -> str:
    """A text from a page. Browsers send each end of a line as two characters, and count one."""
    return text.replace("\r\n", "\n")


class StrictString(serializers.CharField):
    """A JSON string; DRF's own field would take numbers too."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class StrictInteger(serializers.IntegerField):
    """A JSON integer; DRF's own field would take "30" and true too."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class StrictNumber(serializers.FloatField):
    """A finite JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in {int, float}:
            self.fail("invalid")
        try:
            number = float(data)
        except OverflowError:  # a whole number may have thousands of digits
            self.fail("invalid")
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class StrictBoolean(serializers.BooleanField):
    """true or false; DRF's own field would take "yes" and 1 too."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictList(serializers.ListField):
    """A list whose length is looked at before its items are: DRF's own field reads all of one that is too long."""

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return list(super().run_child_validation(data))


class StrictForm(serializers.Serializer[Any]):
    """A body in which an unknown field is an error that names it."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """DRF makes every field anew for every request. A plain one may be copied: only where it is bound differs.
        Those with fields inside know their parent, and are made anew."""
        return {
            name: copy.deepcopy(field) if hasattr(field, "child") or hasattr(field, "get_fields") else copy.copy(field)
            for name, field in self._declared_fields.items()
        }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict):
            unknown = islice((name for name in data if name not in self.fields), MOST_UNKNOWN)
            errors = {name: [f"There is no field {name!r}."] for name in unknown}
            if errors:
                raise serializers.ValidationError(errors, code="unknown_field")
        return dict(super().to_internal_value(data))
