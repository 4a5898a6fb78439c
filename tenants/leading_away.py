"""Where people are led who cannot have the page they asked for.

One of our scripts is told by a bare status instead: it would put the other page into its own.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

View = Callable[..., HttpResponseBase]


def signed_in(view: View) -> View:
    """Strangers go to the door first."""

    @wraps(view)
    def page(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        return view(request, **arguments) if request.user.is_authenticated else to_sign_in(request)

    return page


def by_script(request: HttpRequest) -> bool:
    """Asked by htmx or by a script's own fetch."""
    return request.headers.get("HX-Request") == "true" or request.headers.get("X-Requested-With") == "fetch"


def to_sign_in(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=401) if by_script(request) else redirect_to_login(_page_of(request))


def to_welcome(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=403) if by_script(request) else redirect("welcome")


def to_second_factor(request: HttpRequest) -> HttpResponse:
    if by_script(request):
        return HttpResponse(status=403)
    messages.info(request, _("This workspace asks its members for a second factor. Set one up to go on."))
    return redirect("mfa_index")


def to_their_workspace(request: HttpRequest) -> HttpResponse:
    """Its page was of another workspace than the one that they look at by now."""
    return HttpResponse(status=409) if by_script(request) else render(request, "console/elsewhere.html", status=409)


def to_suspended(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=403) if by_script(request) else render(request, "console/suspended.html", status=403)


def _page_of(request: HttpRequest) -> str:
    """What to come back to. Where something was sent that is the page it was sent from: its own address may not even
    be one that can be looked at."""
    if request.method in {"GET", "HEAD"}:
        return request.get_full_path()
    came = urlsplit(request.headers.get("Referer", ""))
    return urlunsplit(("", "", came.path, came.query, "")) if came.netloc == request.get_host() else reverse("console")
