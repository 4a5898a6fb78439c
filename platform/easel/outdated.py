"""A form whose token is not the browser's: somebody has signed in or out since its page was opened."""

from urllib.parse import urlsplit, urlunsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Instead of Django's own page, which our content policy strips bare. Scripts get the bare status."""
    if "text/html" not in request.headers.get("Accept", ""):
        return HttpResponse(status=403)
    return render(request, "errors/outdated.html", {"again": _page_of(request)}, status=403)


def _page_of(request: HttpRequest) -> str:
    came = urlsplit(request.headers.get("Referer", ""))
    return urlunsplit(("", "", came.path, came.query, "")) if came.netloc == request.get_host() else "/"
