"""Tables whose changes by hand are on record."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from tenants import audit
from tenants.models import Tenant
from tenants.staff_site import Table

Row = TypeVar("Row", bound=Model)


class OnRecord(Table[Row]):
    """What staff change by hand is in the audit log of the tenant it concerns, or in the platform's own."""

    def log_addition(self, request: HttpRequest, obj: Row, message: Any) -> Any:
        _record("added", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Row, message: Any) -> Any:
        _record("changed", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Row]) -> Any:
        for each in queryset:
            _record("removed", each, [])
        return super().log_deletions(request, queryset)


def _record(deed: str, row: Model, message: Any) -> None:
    """Which fields were changed, never to what: a field may hold a password."""
    tenant_id: UUID | None = row.pk if isinstance(row, Tenant) else getattr(row, "tenant_id", None)
    kind = str(row._meta.model_name)
    audit.record(
        f"staff.{kind}_{deed}", tenant_id=tenant_id, object_kind=kind, object_id=row.pk,
        details={"staff_changed": message if isinstance(message, list) else [str(message)]},
    )  # fmt: skip
