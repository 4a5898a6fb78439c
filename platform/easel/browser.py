"""What a browser may do with our pages: scripts, styles and pictures from us alone, nothing inline, no frame around us.

A view that needs another policy sets its own header; it is left as it is. There is no CORS here: the only answers that
another origin may read are event streams opened with a ticket (`tenants.tickets.cross_origin`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

PERMISSIONS: Final = "camera=(), geolocation=(), payment=(), usb=(), browsing-topics=()"


class BrowserRules:
    """Middleware: the policy on every answer, JSON too, so that none is ever taken for a page with rights."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", content_policy(str(settings.S3["public_endpoint"])))
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        # Nothing of anybody's stays in a cache, unless the view says what may: not on the way, not after a sign-out.
        response.headers.setdefault("Cache-Control", "no-store")
        return response


@lru_cache(maxsize=4)
def content_policy(public_store: str) -> str:
    """Content Security Policy, level 3. `/media/` may lead on to the store where that has a public address."""
    parts = urlsplit(public_store)
    store = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"'self' data:{store}",  # data: for the picture of a second factor's secret
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "object-src": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
