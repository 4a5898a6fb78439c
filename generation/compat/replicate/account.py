"""The account, its webhook secret, and pictures to start from (`/files`)."""

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from easel import uploads
from easel.problems import Problem, invalid
from generation import inputs
from generation.api import base_url
from generation.compat.replicate.telling import ROOT
from generation.compat.views import READ, WRITE, DialectView
from generation.models import Input
from tenants.authentication import principal_of
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.webhook_api import default_secret

CONTENT = "content"


def account(request: Request) -> dict[str, Any]:
    principal = principal_of(request)
    with tenant_scope(principal.tenant_id):
        name = Tenant.objects.values_list("name", flat=True).get(id=principal.tenant_id)
    return {"type": "organization", "username": str(principal.tenant_id), "name": name, "github_url": None}


def webhook_secret(request: Request) -> dict[str, Any]:
    """What signs a prediction's webhooks."""
    return {"key": default_secret(principal_of(request))}


class FileList(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    parser_classes = [MultiPartParser]

    def post(self, request: Request) -> Response:
        """A PNG, JPEG or WebP file. One that no prediction uses is forgotten after a day."""
        file = request.FILES.get(CONTENT)
        if file is None:
            raise invalid(CONTENT, "required", "Send the picture as the file of this field.")
        try:
            kept = inputs.store(file.read(), tenant_id=principal_of(request).tenant_id)
        except uploads.BadUpload as error:
            raise invalid(CONTENT, error.code, error.detail) from error
        return Response(_described(request, kept.id), status=201)


class FileDetail(DialectView):
    scopes: ClassVar = {"GET": READ}

    def get(self, request: Request, file_id: UUID) -> Response:
        return Response(_described(request, file_id))


def _described(request: Request, file_id: UUID) -> dict[str, Any]:
    with tenant_scope(principal_of(request).tenant_id):
        kept: Input | None = Input.objects.filter(id=file_id).first()
    if kept is None:
        raise Problem("not_found", "There is no such file.")
    return {
        "id": str(kept.id), "name": f"{kept.id}.png", "content_type": "image/png", "size": kept.bytes,
        "etag": kept.sha256, "checksums": {"sha256": kept.sha256}, "metadata": {},
        "created_at": kept.created_at.isoformat().replace("+00:00", "Z"), "expires_at": None,
        "urls": {"get": f"{base_url(request)}{ROOT}/files/{kept.id}"},
    }  # fmt: skip
