"""Searching prompts that rest sealed: open the newest ones and look. Nothing is indexed, so nothing leaks."""

import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.crypto import CryptoError, DataKey
from easel.database import rows
from easel.pages import whole
from easel.problems import invalid
from generation.prompts import open_prompts
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

NEWEST: Final = 5_000  # generations looked through; some 30 ms a thousand
BATCH: Final = 500
MOST: Final = 100
LONGEST: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Found:
    """`searched` says how far back the search went; `complete` that there was nothing further back."""

    ids: tuple[UUID, ...]
    searched: int
    complete: bool


def search(tenant_id: UUID, words: str, *, key: DataKey, limit: int) -> Found:
    """The newest generations whose prompts hold every word, whatever its case, accents and width."""
    wanted = plain(words).split()
    ids: list[UUID] = []
    searched, before = 0, None
    while searched < NEWEST and len(ids) < limit:
        with tenant_scope(tenant_id):  # short: what it costs is the opening, outside
            batch = rows(
                "SELECT id, prompt_sealed, negative_prompt_sealed FROM generation_generation "
                "WHERE tenant_id = %s AND erased_at IS NULL AND (%s::uuid IS NULL OR id < %s) "
                "ORDER BY id DESC LIMIT %s",
                [tenant_id, before, before, BATCH],
            )
        for generation_id, prompt, negative_prompt in batch:
            searched, before = searched + 1, generation_id
            if holds(generation_id, prompt, negative_prompt, wanted, key):
                ids.append(generation_id)
                if len(ids) == limit:
                    break
        if len(batch) < BATCH:
            return Found(tuple(ids), searched, complete=len(ids) < limit)
    return Found(tuple(ids), searched, complete=False)


def plain(text: str) -> str:
    """As people compare words: compatibility forms, case and accents do not count."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def holds(generation_id: UUID, prompt: bytes, negative: bytes, wanted: list[str], key: DataKey) -> bool:
    """Whether the sealed prompts hold all words, which are `plain`."""
    try:
        text = plain("\n".join(open_prompts(prompt, negative, key=key, generation_id=generation_id)))
    except CryptoError:
        return False  # one damaged row must not hide the others
    return all(word in text for word in wanted)


class Search(APIView):
    """`GET /v1/generations/search?q=&limit=`"""

    scopes: ClassVar = {"GET": "generations:read"}

    def get(self, request: Request) -> Response:
        unknown = set(request.query_params) - {"q", "limit"}
        if unknown:
            raise invalid(min(unknown), "unknown_field", f"There is no parameter {min(unknown)!r}.")
        words, limit = request.query_params.get("q", ""), request.query_params.get("limit", "20")
        if not words.strip() or len(words) > LONGEST:
            raise invalid("q", "bad_length", f"q takes 1 to {LONGEST} characters.")
        most = whole(limit)
        if most is None or not 1 <= most <= MOST:
            raise invalid("limit", "out_of_range", f"limit is a whole number from 1 to {MOST}.")
        principal = principal_of(request)
        found = search(principal.tenant_id, words, key=principal.data_key, limit=most)
        body: dict[str, Any] = {"object": "list", "data": [str(each) for each in found.ids]}
        return Response({**body, "searched": found.searched, "complete": found.complete})
