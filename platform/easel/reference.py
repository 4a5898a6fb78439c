"""`/docs`: the API's reference with a form to try each call, and a page for each error code. Nothing comes from
elsewhere: Swagger UI is in `static/docs`."""

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from easel.problems import KINDS
from easel.remedies import REMEDIES

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return _sealed(render(request, "docs/reference.html"))


@require_safe
def error_page(request: HttpRequest, code: str) -> HttpResponse:
    """What a problem's `type` leads to."""
    kind = KINDS.get(code)
    if kind is None:
        raise Http404
    return _sealed(render(request, "docs/error.html", {"code": code, "kind": kind, "remedy": REMEDIES.get(code, "")}))


def _sealed(response: HttpResponse) -> HttpResponse:
    response["Content-Security-Policy"] = POLICY
    return response
