"""The audit log for owners: the console's page and `/v1/audit`."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.pages import whole
from easel.problems import invalid
from tenants import audit, audit_export
from tenants.authentication import principal_of
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

PAGE: Final = 100
MOST: Final = 1000
FORMS: Final[dict[str, tuple[str, Callable[[UUID], Iterator[str]]]]] = {
    "csv": ("text/csv; charset=utf-8", audit_export.as_csv),
    "json": ("application/json", audit_export.as_json),
}


class AuditLog(APIView):
    """Newest first; `?before=` a sequence number for the next page."""

    scopes: ClassVar = {"GET": "audit:read"}

    def get(self, request: Request) -> Response:
        unknown = set(request.query_params) - {"limit", "before"}
        if unknown:
            raise invalid(min(unknown), "unknown_field", f"There is no parameter {min(unknown)!r}.")
        limit = _number(request, "limit", PAGE, most=MOST)
        before = _number(request, "before", None, most=10**18)
        tenant_id = principal_of(request).tenant_id
        found = audit_export.newest(tenant_id, limit=limit or PAGE, before=before)
        more = len(found) == limit and found[-1]["sequence"] > 1
        return Response({"object": "list", "data": found, "next_before": found[-1]["sequence"] if more else None})


class AuditExport(APIView):
    """The whole log as a file, `?as=csv` or `json`."""

    scopes: ClassVar = {"GET": "audit:read"}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return super().perform_content_negotiation(request, force=True)  # it is a file

    def get(self, request: Request) -> StreamingHttpResponse:
        form = request.query_params.get("as", "json")
        if form not in FORMS:
            raise invalid("as", "unknown_format", "The log is written as csv or json.")
        return _file(principal_of(request).tenant_id, form)


class AuditVerification(APIView):
    """Whether the chain of digests holds, and the last digest: kept elsewhere, it shows that the end was not cut."""

    scopes: ClassVar = {"GET": "audit:read"}

    def get(self, request: Request) -> Response:
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            broken_at = audit.first_break(tenant_id)
        last = audit_export.newest(tenant_id, limit=1)
        return Response(
            {
                "object": "audit_verification",
                "intact": broken_at is None,
                "broken_at": broken_at,
                "records": last[0]["sequence"] if last else 0,
                "last_digest": last[0]["digest"] if last else None,
            }
        )


@console_page({"GET": "audit.read"})
def audit_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    found = audit_export.newest(visitor.tenant_id, limit=PAGE, before=whole(request.GET.get("before", "")))
    older = found[-1]["sequence"] if len(found) == PAGE and found[-1]["sequence"] > 1 else None
    return render(request, "console/audit.html", {"visitor": visitor, "records": map(_shown, found), "older": older})


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """As a page writes it: the moment to the second, lists without brackets."""
    details = {
        name: (", ".join(map(str, value)) or "-") if isinstance(value, list) else value
        for name, value in record["details"].items()
    }
    return {**record, "at": datetime.fromisoformat(record["at"]), "details": details}


@console_page({"GET": "audit.read"})
def export_page(request: HttpRequest, visitor: Visitor, form: str) -> StreamingHttpResponse:
    if form not in FORMS:
        raise Http404
    return _file(visitor.tenant_id, form)


def _file(tenant_id: UUID, form: str) -> StreamingHttpResponse:
    content_type, write = FORMS[form]
    with tenant_scope(tenant_id):
        audit.record("audit.exported", tenant_id=tenant_id, object_kind="audit", details={"format": form})
    answer = StreamingHttpResponse(write(tenant_id), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{audit_export.filename(form)}"'
    answer["Cache-Control"] = "no-store"
    answer.place_of = tenant_id  # type: ignore[attr-defined]  # what easel.bridge looks for
    return answer


def _number(request: Request, name: str, default: int | None, *, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    number = whole(text)
    if number is None or not 1 <= number <= most:
        raise invalid(name, "out_of_range", f"Write a whole number from 1 to {most}.")
    return number


urlpatterns = [
    path("console/audit", audit_page, name="audit-page"),
    path("console/audit/export.<str:form>", export_page, name="audit-export-page"),
    path("v1/audit", AuditLog.as_view(), name="audit"),
    path("v1/audit/export", AuditExport.as_view(), name="audit-export"),
    path("v1/audit/verification", AuditVerification.as_view(), name="audit-verification"),
]
