"""`/v1/images/{id}/shares` and `/complaints`: public links, and complaints that a tenant's program passes on."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.fields import StrictForm, StrictInteger, StrictString
from easel.problems import Problem
from generation import shares
from generation.api import base_url
from generation.models import Image, Share
from moderation import complaints
from moderation.complaints import Filing
from moderation.models import Complaint
from tenants import audit
from tenants.api import actor_of
from tenants.authentication import principal_of
from tenants.scope import tenant_scope


class ShareForm(StrictForm):
    expires_in_days = StrictInteger(
        min_value=1, max_value=shares.LONGEST_DAYS, required=False, allow_null=True, default=None,
        help_text="null, or left out: until you revoke it.",
    )  # fmt: skip


class ComplaintForm(StrictForm):
    reason = serializers.ChoiceField(choices=sorted(complaints.REASONS), help_text="What is wrong with the picture.")
    text = StrictString(
        max_length=complaints.LONGEST, required=False, allow_blank=True, default="", help_text="For our staff alone."
    )


class ShareList(APIView):
    scopes: ClassVar = {"GET": "generations:read", "POST": "generations:write"}

    def get(self, request: Request, image_id: UUID) -> Response:
        """The public links of an image, the newest first, those that lead nowhere any more too."""
        found = shares.of_image(principal_of(request).tenant_id, image_id)
        return Response({"object": "list", "data": [_share(each, request) for each in found]})

    def post(self, request: Request, image_id: UUID) -> Response:
        """A public link: whoever has it sees the picture, that it was made by AI, and how to complain."""
        form = ShareForm(data=request.data)
        form.is_valid(raise_exception=True)
        days = form.validated_data["expires_in_days"]
        made = shares.share(principal_of(request).tenant_id, image_id, actor=actor_of(request), days=days)
        return Response(_share(made, request), status=201)


class ShareDetail(APIView):
    scopes: ClassVar = {"DELETE": "generations:write"}

    def delete(self, request: Request, share_id: UUID) -> Response:
        """The link leads nowhere from now on."""
        shares.revoke(principal_of(request).tenant_id, share_id, actor=actor_of(request))
        return Response(status=204)


class ComplaintList(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request, image_id: UUID) -> Response:
        """Pass on what somebody says against a picture that you were delivered. Staff decide."""
        form = ComplaintForm(data=request.data)
        form.is_valid(raise_exception=True)
        principal = principal_of(request)
        with audit.acting(actor_of(request)), tenant_scope(principal.tenant_id):
            image = Image.objects.filter(id=image_id, released_at__isnull=False).first()
            if image is None:
                raise Problem("not_found", "There is no such image.")
            filed = complaints.file(
                Filing(
                    tenant_id=principal.tenant_id, generation_id=image.generation_id, image_id=image.id,
                    image_index=image.index, source=Complaint.Source.API, **form.validated_data,
                ),
                data_key=principal.data_key,
            )  # fmt: skip
        return Response(_complaint(filed), status=201)


class ComplaintDetail(APIView):
    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request, complaint_id: UUID) -> Response:
        """A complaint about a picture of yours, and what came of it."""
        with tenant_scope(principal_of(request).tenant_id):
            found = Complaint.objects.filter(id=complaint_id).first()
        if found is None:
            raise Problem("not_found", "There is no such complaint.")
        return Response(_complaint(found))


def _share(share: Share, request: Request) -> dict[str, Any]:
    return {
        "object": "share",
        "id": str(share.id),
        "image_id": str(share.image_id),
        "url": shares.address(share.tenant_id, share.id, base_url=base_url(request)),
        "created_at": _zulu(share.created_at),
        "expires_at": _zulu(share.expires_at),
        "revoked_at": _zulu(share.revoked_at),
    }


def _complaint(complaint: Complaint) -> dict[str, Any]:
    """Neither the reason nor the words: both are for staff."""
    return {
        "object": "complaint",
        "id": str(complaint.id),
        "receipt": complaint.receipt,
        "image_id": str(complaint.image_id),
        "generation_id": str(complaint.generation_id),
        "status": "resolved" if complaint.resolved_at else "open",
        "outcome": complaint.outcome or None,
        "created_at": _zulu(complaint.created_at),
        "resolved_at": _zulu(complaint.resolved_at),
    }


def _zulu(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


urlpatterns = [
    path("v1/images/<uuid:image_id>/shares", ShareList.as_view(), name="image-shares"),
    path("v1/shares/<uuid:share_id>", ShareDetail.as_view(), name="share"),
    path("v1/images/<uuid:image_id>/complaints", ComplaintList.as_view(), name="image-complaints"),
    path("v1/complaints/<uuid:complaint_id>", ComplaintDetail.as_view(), name="complaint"),
]
