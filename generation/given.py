"""A picture inside a JSON body: base64 (with or without a `data:` prefix), or the id of one that we have."""

import base64
import binascii
from typing import Any
from uuid import UUID

from rest_framework import serializers


class GivenPicture(serializers.Field[bytes | UUID, str, str, Any]):
    """Gives the file's bytes, or the id."""

    default_error_messages = {
        "invalid": "Base64 of a PNG, JPEG or WebP file is needed, or an image's id.",
        "null": "Leave the field out instead.",
    }

    def to_internal_value(self, data: Any) -> bytes | UUID:
        if not isinstance(data, str):
            self.fail("invalid")
        return _id(data) or self._file(data)

    def to_representation(self, value: Any) -> str:
        return str(value)

    def _file(self, text: str) -> bytes:
        if text.startswith("data:"):
            head, _, text = text.partition(",")
            if not head.endswith(";base64"):
                self.fail("invalid")
        try:
            file = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            self.fail("invalid")
        return file or self.fail("invalid")


def _id(text: str) -> UUID | None:
    """36 characters with dashes are no base64."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
