"""Tags: words that customers put on generations, to find them by. A tag is short, lower case, and rests in clear."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.database import changed, rows
from easel.fields import StrictForm, StrictList, StrictString
from easel.identifiers import new_id
from easel.problems import Problem
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

LONGEST: Final = 40  # characters
MOST: Final = 20  # on one generation
MOST_LISTED: Final = 500
_COMMAS: Final = re.compile("[,\uff0c\u3001]")  # the full-width and the enumeration comma of Chinese, too

_ADD: Final = """
INSERT INTO generation_tag (id, tenant_id, generation_id, name)
SELECT new.id, g.tenant_id, g.id, %(name)s FROM unnest(%(rows)s::uuid[], %(ids)s::uuid[]) AS new(id, generation_id)
JOIN generation_generation g ON g.tenant_id = %(tenant)s AND g.id = new.generation_id AND g.erased_at IS NULL
WHERE (SELECT count(*) FROM generation_tag t WHERE t.tenant_id = %(tenant)s AND t.generation_id = g.id) < %(most)s
ON CONFLICT (tenant_id, generation_id, name) DO NOTHING
"""


class BadTag(ValueError):
    """Not a tag: empty, too long, or with signs that cannot be seen."""


def tidy(text: str) -> str:
    """The tag as it is kept: composed, lower case, single spaces. Raises BadTag."""
    name = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    if not 1 <= len(name) <= LONGEST or any(unicodedata.category(sign).startswith("C") for sign in name):
        raise BadTag(f"A tag has 1 to {LONGEST} visible characters.")
    return name


def listed(text: str) -> list[str]:
    """The parts of what a person wrote with commas between them, without empty ones."""
    return [part.strip() for part in _COMMAS.split(text) if part.strip()]


def add(tenant_id: UUID, generation_ids: Sequence[UUID], name: str) -> int:
    """Put a tidy tag on generations of the tenant. Returns how many did not have it. Needs the tenant's scope."""
    parameters = {"name": name, "rows": [new_id() for _ in generation_ids], "ids": list(generation_ids),
                  "tenant": tenant_id, "most": MOST}  # fmt: skip
    return changed(_ADD, parameters)


def remove(tenant_id: UUID, generation_ids: Collection[UUID], name: str) -> int:
    return changed(
        "DELETE FROM generation_tag WHERE tenant_id = %s AND generation_id = ANY(%s) AND name = %s",
        [tenant_id, list(generation_ids), name],
    )


def of(tenant_id: UUID, generation_id: UUID) -> list[str]:
    found = rows(
        "SELECT name FROM generation_tag WHERE tenant_id = %s AND generation_id = %s ORDER BY name",
        [tenant_id, generation_id],
    )
    return [name for (name,) in found]


def replace(tenant_id: UUID, generation_id: UUID, names: Collection[str]) -> list[str]:
    """The generation has these tags and no others. Raises Problem not_found. Needs the tenant's scope."""
    there = rows(
        "SELECT 1 FROM generation_generation WHERE tenant_id = %s AND id = %s AND erased_at IS NULL FOR UPDATE",
        [tenant_id, generation_id],
    )
    if not there:
        raise Problem("not_found", "There is no such generation.")
    changed(
        "DELETE FROM generation_tag WHERE tenant_id = %s AND generation_id = %s AND name <> ALL(%s)",
        [tenant_id, generation_id, list(names)],
    )
    for name in sorted(names):
        add(tenant_id, [generation_id], name)
    return of(tenant_id, generation_id)


class TagForm(StrictForm):
    tags = StrictList(
        child=StrictString(max_length=LONGEST), max_length=MOST, help_text="All of them; others are taken off."
    )

    def validate_tags(self, value: list[str]) -> list[str]:
        try:
            return sorted({tidy(each) for each in value})
        except BadTag as error:
            raise serializers.ValidationError(str(error), code="bad_tag") from error


class GenerationTags(APIView):
    scopes: ClassVar = {"GET": "generations:read", "PUT": "generations:write"}

    def get(self, request: Request, generation_id: UUID) -> Response:
        """The tags of one generation, in order of the alphabet."""
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            there = rows(
                "SELECT 1 FROM generation_generation WHERE tenant_id = %s AND id = %s AND erased_at IS NULL",
                [tenant_id, generation_id],
            )
            if not there:
                raise Problem("not_found", "There is no such generation.")
            return _told(of(tenant_id, generation_id))

    def put(self, request: Request, generation_id: UUID) -> Response:
        """Give it these tags and no others."""
        form = TagForm(data=request.data)
        form.is_valid(raise_exception=True)
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            return _told(replace(tenant_id, generation_id, form.validated_data["tags"]))


class TagList(APIView):
    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request) -> Response:
        """Every tag in use with the number of its generations, the most used first."""
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            found = rows(
                "SELECT name, count(*) FROM generation_tag WHERE tenant_id = %s GROUP BY name "
                "ORDER BY count(*) DESC, name LIMIT %s",
                [tenant_id, MOST_LISTED],
            )
        data: list[dict[str, Any]] = [{"name": name, "generations": count} for name, count in found]
        return Response({"object": "list", "data": data})


def _told(names: list[str]) -> Response:
    return Response({"object": "list", "data": names})


urlpatterns = [
    path("v1/tags", TagList.as_view(), name="tags"),
    path("v1/generations/<uuid:generation_id>/tags", GenerationTags.as_view(), name="generation-tags"),
]
