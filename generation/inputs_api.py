"""`POST /v1/inputs`: a picture to start from, sent as a file, in a form, or fetched from an address. Its id goes into
`init_image` or `mask`."""

from typing import IO, Any, ClassVar, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel import outbound, uploads
from easel.fields import StrictForm, StrictString
from easel.problems import StrictJSONParser, invalid
from generation import inputs
from tenants.authentication import principal_of

FETCH_SECONDS: Final = 10.0
REDIRECTS: Final = 3
FIELD: Final = "file"


class FileParser(BaseParser):
    """The body is the file."""

    media_type = "image/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> bytes:
        return stream.read()


class AddressForm(StrictForm):
    url = StrictString(max_length=2000, help_text="Where the picture is; no private address.")


class InputList(APIView):
    scopes: ClassVar = {"POST": "generations:write"}
    parser_classes = [FileParser, MultiPartParser, StrictJSONParser]

    def post(self, request: Request) -> Response:
        """Keep a picture. One that no generation uses is forgotten after a day."""
        data, field = _picture(request)
        try:
            kept = inputs.store(data, tenant_id=principal_of(request).tenant_id)
        except uploads.BadUpload as error:
            raise invalid(field, error.code, error.detail) from error
        return Response(
            {"object": "input", "id": str(kept.id), "width": kept.width, "height": kept.height, "sha256": kept.sha256},
            status=201,
        )


def _picture(request: Request) -> tuple[bytes, str]:
    """The file, and the field that an error names."""
    sent: Any = request.data
    if isinstance(sent, bytes):
        return sent, ""
    file = sent.get(FIELD) if hasattr(sent, "get") and FIELD in sent else None
    if isinstance(file, UploadedFile):
        return file.read(), FIELD
    if str(request.content_type).startswith("multipart/"):
        raise invalid(FIELD, "required", "Send the picture as the file of this field.")
    form = AddressForm(data=sent)
    form.is_valid(raise_exception=True)
    return _fetched(form.validated_data["url"]), "url"


def _fetched(url: str) -> bytes:
    """Each redirect is checked as the address was: none leads into our network."""
    try:
        answer = outbound.request(
            "GET", url, timeout=FETCH_SECONDS, max_bytes=settings.UPLOAD_MAX_BYTES, redirects=REDIRECTS
        )
    except outbound.RefusedAddress as error:
        raise invalid("url", "refused_address", error.reason) from error
    except outbound.Unreachable as error:
        raise invalid("url", "unreachable", error.reason) from error
    if answer.status != 200:
        raise invalid("url", "unreachable", f"The address answered {answer.status}.")
    if answer.truncated:
        raise invalid("url", "too_many_bytes", f"At most {settings.UPLOAD_MAX_BYTES} bytes.")
    return answer.body
