"""`POST /v1/provenance`: where a file comes from, and whether it was changed since. `GET /v1/provenance/anchors`: the
roots to give to any other reader of C2PA."""

from dataclasses import asdict
from typing import IO, Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.problems import Problem, invalid
from generation import authority, provenance

PICTURE_TYPES: Final = ", ".join(provenance.TYPES)


class PictureParser(BaseParser):
    """The body is the file."""

    media_type = "image/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read()


class ProvenanceCheck(APIView):
    """What a file says of its origin. It is read, not kept."""

    scopes: ClassVar = {"POST": "generations:read"}
    parser_classes = [PictureParser]

    def post(self, request: Request) -> Response:
        content_type = str(request.content_type).partition(";")[0].strip().lower()
        if content_type not in provenance.TYPES:
            raise Problem("unsupported_media_type", f"Send the file itself, as one of {PICTURE_TYPES}.")
        data: Any = request.data
        if not isinstance(data, bytes) or not data:
            raise invalid("", "required", "The body is empty; it must be the file.")
        found = provenance.read(data, content_type, anchors=authority.anchors())
        return Response({"object": "provenance", **asdict(found), "problems": list(found.problems)})


@require_safe
def anchors(request: HttpRequest) -> HttpResponse:
    """Public, as every root certificate is."""
    return HttpResponse(authority.anchors(), content_type="application/x-pem-file")
