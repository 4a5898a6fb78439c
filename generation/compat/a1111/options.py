"""`/options`: settings that last from request to request. Of one API key: nobody else's requests change by them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.http import HttpResponse, JsonResponse
from rest_framework.request import Request
from rest_framework.response import Response

from easel.database import changed, rows
from easel.identifiers import new_id
from easel.problems import Problem, invalid
from generation import routing
from generation.compat.fields import Fields
from generation.compat.views import READ, WRITE, DialectView
from generation.spec import MOST_CLIP_SKIP
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal

MODEL: Final = "sd_model_checkpoint"
HASH: Final = "sd_checkpoint_hash"
FORMAT: Final = "samples_format"
CLIP_SKIP: Final = "CLIP_stop_at_last_layers"
FORMATS: Final[Mapping[str, str]] = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
KNOWN: Final = f"The options are {MODEL}, {FORMAT} and {CLIP_SKIP}."

_READ: Final = "SELECT chosen FROM generation_a1111options WHERE tenant_id = %s AND key_id = %s"
_WRITE: Final = """
INSERT INTO generation_a1111options AS own (id, tenant_id, key_id, chosen) VALUES (%s, %s, %s, %s)
ON CONFLICT (tenant_id, key_id) DO UPDATE SET chosen = own.chosen || EXCLUDED.chosen
"""


class Options(DialectView):
    scopes: ClassVar = {"GET": READ, "POST": WRITE}
    names = {"model": MODEL}

    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        own = of(principal)
        with tenant_scope(principal.tenant_id):
            try:
                model = routing.choose(own.get(MODEL, routing.AUTO), principal.tenant_id).model
            except Problem:  # it was retired since: whoever reads the options must be able to choose another
                model = routing.choose(routing.AUTO, principal.tenant_id).model
        return Response({
            MODEL: title(model.name, model.version), HASH: model.digest or None,
            FORMAT: own.get(FORMAT, "png"), CLIP_SKIP: own.get(CLIP_SKIP, 1),
        })  # fmt: skip

    def post(self, request: Request) -> HttpResponse:
        keep(principal_of(request), settled(request.data))
        return JsonResponse(None, safe=False)  # DRF would answer nothing instead of null


def of(principal: Principal) -> dict[str, Any]:
    """What this key has chosen before."""
    with tenant_scope(principal.tenant_id):
        found = rows(_READ, [principal.tenant_id, principal.key.key_id])
    chosen: dict[str, Any] = json.loads(found[0][0]) if found else {}
    return chosen


def keep(principal: Principal, chosen: Mapping[str, Any]) -> None:
    """From now on, for this key. Raises Problem for a model that it may not name."""
    with tenant_scope(principal.tenant_id):
        if MODEL in chosen:
            routing.choose(chosen[MODEL], principal.tenant_id)
        changed(_WRITE, [new_id(), principal.tenant_id, principal.key.key_id, json.dumps(dict(chosen))])


def settled(sent: Any, *, where: str = "") -> dict[str, Any]:
    """Options that there are, each with a value it can have. Raises Problem or ValidationError."""
    if not isinstance(sent, dict):
        raise invalid(where.rstrip("."), "invalid", "An object of options.")
    fields = Fields(sent, where=where)
    fields.take(HASH)  # comes back from those who change what they were told
    chosen: dict[str, Any] = {}
    if (name := fields.take(MODEL)) is not None:
        if not isinstance(name, str):
            raise fields.refused(MODEL, "The title or name of a model.")
        chosen[MODEL] = name_of(name)
    if (wanted := fields.one_of(FORMAT, FORMATS, f"One of {', '.join(FORMATS)}.")) is not None:
        chosen[FORMAT] = wanted
    clip_skip = fields.whole(CLIP_SKIP, 0, least=0, most=MOST_CLIP_SKIP)
    if clip_skip:
        chosen[CLIP_SKIP] = clip_skip
    fields.none_left(KNOWN)
    return chosen


def asked(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The same in the words of `POST /v1/generations`."""
    fields: dict[str, Any] = {"model": chosen.get(MODEL, routing.AUTO)}
    if FORMAT in chosen:
        fields["format"] = FORMATS[chosen[FORMAT]]
    if CLIP_SKIP in chosen:
        fields["clip_skip"] = chosen[CLIP_SKIP]
    return fields


def title(name: str, version: str) -> str:
    return f"{name} [{version}]" if version else name


def name_of(text: str) -> str:
    """A model's name, of its title or of a file's name."""
    return text.partition(" [")[0].strip().removesuffix(".safetensors")
