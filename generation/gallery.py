"""What the gallery shows: a page of a tenant's generations by status, model, tag, days and words, newest first.

A page is one statement, whatever there is: it begins after the last id of the page before, and ids are ordered by time,
so days are ranges of ids, too. Words are looked for in opened prompts, the newest `search.NEWEST` at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict

from easel.crypto import DataKey
from easel.database import rows
from easel.pages import cursor_of
from generation import blurring, figures, search, thumbnails
from generation.models import Generation, Image
from generation.prompts import shown_prompts
from tenants.scope import tenant_scope

PAGE: Final = 48
MOST_OPTIONS: Final = 200
PICTURES: Final = "pictures"  # what a gallery is for: what has pictures, or may get them back from staff
ALL: Final = "all"
APPEALED: Final = "appealed"
STATUSES: Final = (PICTURES, *Generation.Status.values, APPEALED, ALL)
PROMPT_CHARACTERS: Final = 160

_WHERE: Final = {
    PICTURES: "g.status IN ('completed', 'in_review')",
    APPEALED: "EXISTS (SELECT 1 FROM moderation_case c WHERE c.tenant_id = g.tenant_id AND c.generation_id = g.id "
    "AND c.kind = 'appeal')",
    ALL: "true",
}

# The page is chosen first, by an index and nothing else; what belongs to its rows is looked up for them alone.
_PAGE: Final = """
WITH page AS MATERIALIZED (
    SELECT g.id, g.tenant_id, g.status, g.created_at, g.prompt_sealed, g.negative_prompt_sealed, g.width, g.height, g.n,
        g.seed, g.error_code, g.cached_from IS NOT NULL AS cached, g.model_id
    FROM generation_generation g WHERE {where} ORDER BY g.id DESC LIMIT %(limit)s
)
SELECT page.id, page.status, page.created_at, page.prompt_sealed, page.negative_prompt_sealed, page.width, page.height,
    page.n, page.seed, page.error_code, page.cached, (SELECT name FROM generation_model WHERE id = page.model_id),
    first.id AS image_id, first.released, coalesce(first.images, 0) AS images, ARRAY(
        SELECT t.name FROM generation_tag t WHERE t.tenant_id = page.tenant_id AND t.generation_id = page.id
        ORDER BY t.name
    ) AS names
FROM page LEFT JOIN LATERAL (
    SELECT i.id, i.released_at IS NOT NULL AS released, count(*) OVER () AS images
    FROM generation_image i
    WHERE i.tenant_id = page.tenant_id AND i.generation_id = page.id AND i.rejected_at IS NULL
    ORDER BY i.released_at IS NULL, i.index LIMIT 1
) first ON true
ORDER BY page.id DESC
"""

_PROMPTS: Final = """
SELECT g.id, g.prompt_sealed, g.negative_prompt_sealed FROM generation_generation g
WHERE {where} ORDER BY g.id DESC LIMIT %(limit)s
"""

# Distinct names by leaps through the index: as many look-ups as there are tags, not as there are tagged pictures.
_TAGS: Final = """
WITH RECURSIVE tag AS (
    (SELECT name FROM generation_tag WHERE tenant_id = %(tenant)s ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (SELECT t.name FROM generation_tag t WHERE t.tenant_id = %(tenant)s AND t.name > tag.name
            ORDER BY t.name LIMIT 1) FROM tag WHERE tag.name IS NOT NULL
)
SELECT array_agg(name) FROM (SELECT name FROM tag WHERE name IS NOT NULL LIMIT %(most)s) tags
"""
_MODELS: Final = """
SELECT array_agg(DISTINCT name) FROM generation_model WHERE tenant_id = %(tenant)s OR tenant_id IS NULL
"""

# What can be chosen stands in the first columns, and is there also where nothing is found.
_WITH_OPTIONS: Final = f"""
SELECT options.*, page.* FROM (SELECT ({_TAGS}) AS tags, ({_MODELS}) AS models) options
LEFT JOIN LATERAL ({_PAGE}) page ON true ORDER BY page.id DESC
"""  # noqa: S608  our own text


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which generations. What cannot be read of a query is as if it were not there: nothing here changes anything."""

    words: str = ""
    status: str = PICTURES
    model: str = ""
    tag: str = ""
    since: date | None = None
    until: date | None = None
    before: UUID | None = None
    ids: Sequence[UUID] | None = None

    @classmethod
    def read(cls, query: QueryDict) -> "Wanted":
        status = query.get("status", "")
        return cls(
            words=_text(query, "q", search.LONGEST),
            status=status if status in STATUSES else PICTURES,
            model=_text(query, "model", 60),
            tag=_text(query, "tag", 40).casefold(),
            since=_day(query.get("since", "")),
            until=_day(query.get("until", "")),
            before=cursor_of(query),
        )

    @property
    def narrowed(self) -> bool:
        """Whether more may be found with fewer conditions."""
        return self != replace(Wanted(), before=self.before)

    def where(self, tenant_id: UUID) -> tuple[str, dict[str, Any]]:
        """An SQL condition on `g` with its parameters."""
        conditions = [
            "g.tenant_id = %(tenant)s",
            "g.erased_at IS NULL",
            _WHERE.get(self.status, "g.status = %(status)s"),
        ]
        parameters: dict[str, Any] = {"tenant": tenant_id, "status": self.status}
        if self.model:
            conditions.append("g.model_id = ANY(ARRAY(SELECT id FROM generation_model WHERE name = %(model)s))")
        if self.tag:
            conditions.append(
                "g.id = ANY(ARRAY("
                "SELECT generation_id FROM generation_tag WHERE tenant_id = %(tenant)s AND name = %(tag)s))"
            )
        if self.since:
            conditions.append("g.id >= %(since)s")
        if self.ids is not None:
            conditions.append("g.id = ANY(%(ids)s)")
        end = figures.first_id(self.until + timedelta(days=1)) if self.until and self.until < date.max else None
        before = min((bound for bound in (end, self.before) if bound is not None), default=None)
        if before is not None:
            conditions.append("g.id < %(before)s")
        parameters |= {
            "model": self.model, "tag": self.tag, "ids": list(self.ids or ()),
            "since": figures.first_id(self.since) if self.since else None, "before": before,
        }  # fmt: skip
        return " AND ".join(conditions), parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One generation of the gallery."""

    id: UUID
    status: str
    created_at: datetime
    prompt: str
    width: int
    height: int
    n: int
    seed: int
    error_code: str
    cached: bool
    model: str
    images: int
    thumbnail: str  # an address; empty: there is nothing to be seen
    veiled: bool
    tags: tuple[str, ...]

    @property
    def label(self) -> str:
        return str(Generation.Status(self.status).label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    cards: list[Card]
    before: UUID | None  # where the next page begins; None: this is the last one
    searched: int = 0
    tags: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)


def page(tenant_id: UUID, wanted: Wanted, *, key: DataKey, options: bool = True, limit: int = PAGE) -> Gallery:
    """One statement in one scope, and another one where words are looked for."""
    if wanted.words:
        ids, before, searched = _found(tenant_id, wanted, key, limit)
        shown, more = replace(wanted, ids=ids, before=None), before is not None
    else:
        shown, before, more, searched = wanted, None, False, 0
    where, parameters = shown.where(tenant_id)
    statement = (_WITH_OPTIONS if options else _PAGE).format(where=where)
    with tenant_scope(tenant_id):
        found = rows(statement, {**parameters, "limit": limit + 1, "most": MOST_OPTIONS})
    tags, models = found[0][:2] if options else ([], [])
    if options:
        found = [row[2:] for row in found if row[2] is not None]
    if not wanted.words and len(found) > limit:
        found, more = found[:limit], True
        before = found[-1][0]
    return Gallery(
        cards=[_card(row, tenant_id, key) for row in found],
        before=before if more else None,
        searched=searched,
        tags=tags or [],
        models=models or [],
    )


def _found(tenant_id: UUID, wanted: Wanted, key: DataKey, limit: int) -> tuple[list[UUID], UUID | None, int]:
    """Ids with all the words, where to look further (None: nowhere), and through how many was looked."""
    where, parameters = wanted.where(tenant_id)
    with tenant_scope(tenant_id):  # short: what it costs is the opening, outside
        batch = rows(_PROMPTS.format(where=where), {**parameters, "limit": search.NEWEST})
    words = search.plain(wanted.words).split()
    ids: list[UUID] = []
    for number, (generation_id, prompt, negative) in enumerate(batch, 1):
        if search.holds(generation_id, prompt, negative, words, key):
            ids.append(generation_id)
            if len(ids) == limit:
                return ids, generation_id, number
    return ids, batch[-1][0] if len(batch) == search.NEWEST else None, len(batch)


def _card(row: tuple[Any, ...], tenant_id: UUID, key: DataKey) -> Card:
    (id_, status, created_at, prompt_sealed, negative_sealed, width, height, n, seed, error_code, cached, model,
     image_id, released, images, tags) = row  # fmt: skip
    return Card(
        id=id_, status=status, created_at=created_at.astimezone(UTC), width=width, height=height, n=n, seed=seed,
        error_code=error_code, cached=cached, model=model, images=images,
        veiled=image_id is not None and not released,
        prompt=shown_prompts(prompt_sealed, negative_sealed, key=key, generation_id=id_).prompt[:PROMPT_CHARACTERS],
        thumbnail=_thumbnail(tenant_id, image_id, released) if image_id is not None else "",
        tags=tuple(tags or ()),
    )  # fmt: skip


def _thumbnail(tenant_id: UUID, image_id: UUID, released: bool) -> str:
    """A held image is told blurred beyond recognition."""
    if released:
        return thumbnails.address(tenant_id, image_id)
    return blurring.address(Image(id=image_id, tenant_id=tenant_id), base_url="")


def _text(query: QueryDict, name: str, longest: int) -> str:
    text = query.get(name, "").strip()[:longest]
    return "" if "\0" in text else text


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
