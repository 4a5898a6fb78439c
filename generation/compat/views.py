"""What every view of a dialect is: behind the same door, throttle and scopes as `/v1`, for plain keys too."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.problems import StrictJSONParser
from generation.compat.fields import told_as
from tenants.plain_keys import PlainKeyAuthentication

READ: Final = "generations:read"
WRITE: Final = "generations:write"


class AnyAccept(BaseContentNegotiation):
    """A call has one form of answer, whatever `Accept` says: so the servers do whose clients come here."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        wanted = str(request.content_type).partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class DialectView(APIView):
    authentication_classes = [PlainKeyAuthentication]
    parser_classes = [StrictJSONParser]
    content_negotiation_class = AnyAccept
    names: dict[str, str] = {}  # our fields by the dialect's names, for errors

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(told_as(self.names, exc))


def sent(request: Request) -> dict[str, Any]:
    """The body: every parser here makes an object of it."""
    body: Any = request.data
    return dict(body)


def page(look: Callable[..., Any], *, scope: str = READ) -> type[DialectView]:
    """A view that answers GET with what `look` says."""

    def get(self: DialectView, request: Request, **named: Any) -> Response:
        return Response(look(request, **named))

    return type(look.__name__, (DialectView,), {"get": get, "scopes": {"GET": scope}, "__doc__": look.__doc__})
