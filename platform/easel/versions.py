"""Which version of the API answered, and what will go away: `Easel-Version`, `Deprecation` (RFC 9745), `Sunset` (RFC
8594)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import http_date

HEADER: Final = "Easel-Version"
_PATHS: Final = ("/v1/", "/oauth/")


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Set as `deprecated` on a view that will go away: since when, until when, and where to read why."""

    since: datetime
    until: datetime
    link: str

    def headers(self) -> dict[str, str]:
        return {
            "Deprecation": f"@{int(self.since.astimezone(UTC).timestamp())}",
            "Sunset": http_date(self.until.timestamp()),
            "Link": f'<{self.link}>; rel="deprecation"; type="text/html"',
        }


class ApiVersion:
    """Middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith(_PATHS):
            response[HEADER] = settings.API_VERSION
            view = getattr(getattr(request.resolver_match, "func", None), "cls", None)
            deprecated = getattr(view, "deprecated", None)
            if isinstance(deprecated, Deprecated):
                for name, value in deprecated.headers().items():
                    response[name] = value
        return response
