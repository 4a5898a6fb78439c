"""`GET /v1/generations`: which of a tenant's generations are on a page."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.http import QueryDict

from easel.pages import cursor_of, limit_of, only, page_of
from easel.problems import invalid
from generation import tags
from generation.models import Generation, Image

PARAMETERS: Final = {"status", "model", "tag", "limit", "cursor"}


@dataclass(frozen=True, slots=True)
class Page:
    generations: list[Generation]
    images: dict[UUID, list[Image]]
    held: dict[UUID, list[Image]]  # those that wait for staff
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which page is asked for."""

    status: str
    model: str
    tag: str
    limit: int
    before: UUID | None

    @classmethod
    def read(cls, parameters: QueryDict) -> "Query":
        only(parameters, PARAMETERS)
        status = parameters.get("status", "")
        if status and status not in Generation.Status.values:
            raise invalid("status", "invalid_choice", f"One of {', '.join(Generation.Status.values)}.")
        model = parameters.get("model", "")
        if "\0" in model:
            raise invalid("model", "invalid", "There is no such model.")
        tag = parameters.get("tag", "")
        if "\0" in tag:
            raise invalid("tag", "invalid", "There is no such tag.")
        return cls(status, model, _as_kept(tag), limit_of(parameters), cursor_of(parameters))

    def page(self) -> Page:
        """Two queries, however many there are. Needs the tenant's scope."""
        found = Generation.objects.select_related("model").filter(erased_at=None).order_by("-id")
        if self.status:
            found = found.filter(status=self.status)
        if self.model:
            found = found.filter(model__name=self.model)
        if self.tag:
            found = found.filter(tags__name=self.tag)
        if self.before is not None:
            found = found.filter(id__lt=self.before)
        generations, cursor = page_of(list(found[: self.limit + 1]), self.limit)
        images: dict[UUID, list[Image]] = {each.id: [] for each in generations}
        held: dict[UUID, list[Image]] = {each.id: [] for each in generations}
        for image in Image.objects.filter(generation__in=list(images), rejected_at=None).order_by("index"):
            (held if image.released_at is None else images)[image.generation_id].append(image)
        return Page(generations, images, held, cursor)


def _as_kept(tag: str) -> str:
    """Whoever put a tag on finds it as they wrote it. What can be none stays as it is: nothing has it."""
    try:
        return tags.tidy(tag)
    except tags.BadTag:
        return tag
