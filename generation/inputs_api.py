"""`POST /v1/inputs`: a picture to start from, sent as a file, in a form, fetched from an address, or uploaded to the
store before (`POST /v1/uploads`). Its id goes into `init_image` or `mask`."""

from datetime import UTC, datetime, timedelta
from typing import IO, Any, ClassVar, Final
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from rest_framework import serializers
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel import uploads
from easel.database import changed, rows
from easel.fields import StrictForm, StrictString
from easel.identifiers import new_id
from easel.problems import Problem, StrictJSONParser, invalid
from easel.storage import ObjectMissing, storage
from generation import inputs
from generation.downloads import fetched
from tenants import data_policy
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

FIELD: Final = "file"
UPLOAD_SECONDS: Final = 900
# Never adopted: the clock removes what was uploaded within the hour, used or not. What was used is kept as an input.
# Each may become as large as an upload may be: so many at once as would fit into a day.
_WAITING: Final = "SELECT count(*) FROM generation_objectintent WHERE tenant_id = %s AND object_key LIKE %s"
_INTEND: Final = "INSERT INTO generation_objectintent (id, tenant_id, object_key) VALUES (%s, %s, %s)"


class FileParser(BaseParser):
    """The body is the file."""

    media_type = "image/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read()


class InputForm(StrictForm):
    """One of the two."""

    url = StrictString(max_length=2000, required=False, help_text="Where the picture is; no private address.")
    upload = serializers.UUIDField(required=False, help_text="The id of an upload that was made.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Name either url or upload.", code="required")
        return attrs


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
    form = InputForm(data=sent)
    form.is_valid(raise_exception=True)
    tenant_id = principal_of(request).tenant_id
    if "url" in form.validated_data:
        return fetched(form.validated_data["url"], "url", tenant_id=tenant_id), "url"
    return _uploaded(tenant_id, form.validated_data["upload"]), "upload"


class UploadList(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request) -> Response:
        """Where to send a file, past us, straight to the store. What nobody names within the hour is removed."""
        tenant_id, upload_id = principal_of(request).tenant_id, new_id()
        object_key = _upload_key(tenant_id, upload_id)
        with tenant_scope(tenant_id):
            sealed = data_policy.policy_of(tenant_id).seal_images
            ((waiting,),) = rows(_WAITING, [tenant_id, _upload_key(tenant_id, "%")])
        if sealed:
            said = "Pictures of this account rest encrypted, which the store cannot do. Send them to POST /v1/inputs."
            raise Problem("not_found", said)
        if (waiting + 1) * settings.UPLOAD_MAX_BYTES > settings.GIVEN_BYTES_A_DAY:
            said = f"{waiting} uploads were begun within the hour. Try again later."
            raise Problem("quota_exceeded", said, headers={"Retry-After": "3600"})
        form = storage().presigned_post(object_key, most_bytes=settings.UPLOAD_MAX_BYTES, seconds=UPLOAD_SECONDS)
        if form is None:
            raise Problem("not_found", "The store has no public address here. Send the file to POST /v1/inputs.")
        with tenant_scope(tenant_id):
            changed(_INTEND, [new_id(), tenant_id, object_key])
        expires = datetime.now(UTC) + timedelta(seconds=UPLOAD_SECONDS)
        told = {
            "object": "upload", "id": str(upload_id), "url": form[0], "fields": form[1],
            "most_bytes": settings.UPLOAD_MAX_BYTES, "expires_at": expires.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip
        return Response(told, status=201, headers={"Cache-Control": "no-store"})


def _uploaded(tenant_id: UUID, upload_id: UUID) -> bytes:
    try:
        return storage().get(_upload_key(tenant_id, upload_id))
    except ObjectMissing as error:
        raise invalid("upload", "not_uploaded", "Nothing was uploaded under this id.") from error


def _upload_key(tenant_id: UUID, upload_id: UUID | str) -> str:
    return f"t/{tenant_id}/u/{upload_id}"
