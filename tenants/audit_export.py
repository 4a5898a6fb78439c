"""The audit log for its owners: a page of it, or all of it as CSV or JSON."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from tenants.models import AuditRecord
from tenants.scope import tenant_scope

CHUNK: Final = 1000
COLUMNS: Final = (
    "sequence", "at", "actor_kind", "actor", "action", "object_kind", "object_id", "details", "address", "request_id",
    "previous", "digest",
)  # fmt: skip
# What a spreadsheet would take for a formula: names and details may come from anybody who was invited.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def newest(tenant_id: UUID, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """Records newest first, from `before` (a sequence number) down."""
    with tenant_scope(tenant_id):
        found = AuditRecord.objects.order_by("-sequence")
        if before is not None:
            found = found.filter(sequence__lt=before)
        return [describe(record) for record in found[:limit]]


def everything(tenant_id: UUID) -> Iterator[dict[str, Any]]:
    """All records, oldest first. Each thousand in a short transaction of its own; records never change."""
    after = 0
    while True:
        with tenant_scope(tenant_id):
            found = list(AuditRecord.objects.filter(sequence__gt=after).order_by("sequence")[:CHUNK])
        yield from map(describe, found)
        if len(found) < CHUNK:
            return
        after = found[-1].sequence


def as_json(tenant_id: UUID) -> Iterator[str]:
    """One JSON array, a record a line."""
    yield "["
    for number, record in enumerate(everything(tenant_id)):
        yield ("," if number else "") + "\n" + json.dumps(record, ensure_ascii=False)
    yield "\n]\n"


def as_csv(tenant_id: UUID) -> Iterator[str]:
    yield _line(COLUMNS)
    for record in everything(tenant_id):
        yield _line([_cell(record[column]) for column in COLUMNS])


def describe(record: AuditRecord) -> dict[str, Any]:
    return {
        "sequence": record.sequence,
        "at": record.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "actor_kind": record.actor_kind,
        "actor": record.actor,
        "action": record.action,
        "object_kind": record.object_kind,
        "object_id": record.object_id,
        "details": record.details,
        "address": record.address,
        "request_id": record.request_id,
        "previous": bytes(record.previous).hex(),
        "digest": bytes(record.digest).hex(),
    }


def filename(extension: str) -> str:
    return f"easel-audit-{datetime.now(UTC):%Y-%m-%d}.{extension}"


def _cell(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
