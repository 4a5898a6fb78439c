"""The names under which we may be called: EASEL_ALLOWED_HOSTS, on every path but that of readiness."""

from typing import Final

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

# An orchestrator asks a pod by its address, which no list knows beforehand; the answer repeats no name.
ASKED_BY_ADDRESS: Final = "/readyz"


class KnownHosts(CommonMiddleware):
    """Middleware: Django's own, which refuses a request whose Host is not ours."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info == ASKED_BY_ADDRESS else super().process_request(request)
