"""A form whose token is not the browser's: somebody has signed in or out since its page was opened."""

from urllib.parse import urlsplit, urlunsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve

from tenants.navigation import can_be_opened


def refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Instead of Django's own page, which our content policy strips bare. Scripts get the bare status."""
    if "text/html" not in request.headers.get("Accept", ""):
        return HttpResponse(status=403)
    return render(request, "errors/outdated.html", {"again": _page_of(request)}, status=403)


def _page_of(request: HttpRequest) -> str:
    """Where the form was, if that is a page of ours that can be opened."""
    came = urlsplit(request.headers.get("Referer", ""))
    try:
        ours = came.netloc == request.get_host() and can_be_opened(resolve(came.path))
    except Resolver404:
        return "/"
    return urlunsplit(("", "", came.path, came.query, "")) if ours else "/"
