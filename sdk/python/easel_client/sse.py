"""Server-Sent Events, from bytes as they arrive to events."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from easel_client.errors import UnexpectedAnswer


@dataclass(frozen=True)
class Event:
    """One event of a stream. `kind` is `status`, `progress`, `preview`, `done`, or one that this version does not know;
    all of what came with it is in `data`."""

    kind: str
    id: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def generation_id(self) -> str:
        return str(self.data.get("generation", ""))

    @property
    def status(self) -> str | None:
        """Of `status` and `done`."""
        return self.data.get("status")

    @property
    def progress(self) -> float | None:
        """Of `progress`, from 0 to 1."""
        return self.data.get("progress")

    @property
    def image(self) -> bytes | None:
        """Of `preview`: the file."""
        return base64.b64decode(self.data["image"]) if "image" in self.data else None


class EventParser:
    """Feed it chunks, however they were cut. Comments are passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = self._line(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if line.startswith(":"):
            return None
        if line:
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "data":
                self._data.append(value)
            else:
                self._fields[name] = value
            return None
        return self._whole()

    def _whole(self) -> Event | None:
        fields, data = self._fields, "\n".join(self._data)
        self._fields, self._data = {}, []
        if not data:
            return None
        try:
            content = json.loads(data)
        except ValueError as error:
            raise UnexpectedAnswer("The event stream holds something else than JSON.") from error
        if not isinstance(content, dict):
            raise UnexpectedAnswer("The event stream holds something else than JSON objects.")
        return Event(fields.get("event", "message"), fields.get("id", ""), content)
