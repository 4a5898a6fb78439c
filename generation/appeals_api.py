"""`/v1/generations/{id}/appeals`: ask a person, once, about what moderation rejected, before or after it was drawn."""

from typing import ClassVar, Final
from uuid import UUID

from django.utils.translation import gettext_noop
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.crypto import DataKey
from easel.fields import StrictForm, StrictString
from easel.identifiers import new_id
from easel.problems import Problem
from generation import appeals
from generation.endings import TEST_POOL
from generation.models import Generation, Image
from moderation import cases, findings
from moderation.cases import Opening
from moderation.findings import Judgment
from moderation.models import Case
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

LONGEST: Final = 2_000  # characters


class AppealRequest(StrictForm):
    text = StrictString(max_length=LONGEST, help_text="Why it should be let through; staff read it.")


class Appeals(APIView):
    scopes: ClassVar = {"POST": "generations:write", "GET": "generations:read"}

    def post(self, request: Request, generation_id: UUID) -> Response:
        principal = principal_of(request)
        form = AppealRequest(data=request.data)
        with tenant_scope(principal.tenant_id):
            generation = found(generation_id)
            form.is_valid(raise_exception=True)
            appeal(generation, form.validated_data["text"], data_key=principal.data_key)
            return Response(appeals.told(generation.id)[0], status=201)

    def get(self, request: Request, generation_id: UUID) -> Response:
        """How the appeal stands; an empty list where there was none."""
        with tenant_scope(principal_of(request).tenant_id):
            return Response({"object": "list", "data": appeals.told(found(generation_id).id)})


def found(generation_id: UUID) -> Generation:
    """One of the current tenant's. Raises Problem not_found."""
    generation: Generation | None = (
        Generation.objects.select_related("pool").filter(id=generation_id, erased_at=None).first()
    )
    if generation is None:
        raise Problem("not_found", "There is no such generation.")
    return generation


def appeal(generation: Generation, text: str, *, data_key: DataKey) -> None:
    """Ask a person. Needs the tenant's scope. Raises Problem not_appealable."""
    rejected = Image.objects.filter(generation_id=generation.id, rejected_at__isnull=False).order_by("index").first()
    if generation.pool.name == TEST_POOL or (generation.status != Generation.Status.REJECTED and rejected is None):
        raise Problem("not_appealable", gettext_noop("Nothing of this generation was rejected."))
    said = [
        *findings.of_request(generation.tenant_id, generation.id),
        *findings.of_pictures(generation.tenant_id, generation.id).ask(),
    ]
    why, case_id = Judgment(tuple(said), 0).leading, new_id()
    opening = Opening(
        tenant_id=generation.tenant_id, generation_id=generation.id, kind=Case.Kind.APPEAL,
        image_id=rejected.id if rejected else None, image_index=rejected.index if rejected else None, finding=why,
        phash=why.phash if why else "", text_sealed=cases.seal_text(text, case_id=case_id, data_key=data_key),
    )  # fmt: skip
    if not cases.open_case(opening, case_id=case_id):
        detail = gettext_noop("This generation was appealed before; there is one appeal for each.")
        raise Problem("not_appealable", detail)
