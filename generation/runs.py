"""Generations as the playground shows them: one card each, with its slots, pictures, facts and what can follow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, QueryDict
from django.urls import reverse

from generation import position, progress
from generation.media import address
from generation.models import Generation, Image
from generation.paging import Query
from generation.position import Place
from generation.prompts import Shown, shown_prompts
from generation.rendering import UNFINISHED
from tenants import tickets
from tenants.console import Visitor
from tenants.console_key import principal_for
from tenants.scope import tenant_scope

PER_PAGE: Final = 6


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one image of a run; `image` once it is there and may be seen."""

    index: int
    image: Image | None
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    generation: Generation
    prompt: str
    negative_prompt: str
    slots: Sequence[Slot]
    settings_link: str
    stream: str  # where its events come from, while it is not finished

    @property
    def id(self) -> UUID:
        found: UUID = self.generation.id
        return found

    @property
    def unfinished(self) -> bool:
        return self.generation.status in UNFINISHED

    @property
    def stopping(self) -> bool:
        return self.unfinished and self.generation.cancel_requested_at is not None

    @property
    def released(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.image is not None]

    @property
    def seconds(self) -> float | None:
        seconds: float | None = self.generation.timings.get("total_seconds")
        return seconds


@dataclass(frozen=True, slots=True)
class CardPage:
    cards: list[Card]
    older: str  # the cursor of the next page; empty: none


def page(visitor: Visitor, *, cursor: str = "") -> CardPage:
    """Newest first. Needs the tenant's scope. Raises Problem for a cursor that is none."""
    parameters = QueryDict(urlencode({"limit": PER_PAGE, **({"cursor": cursor} if cursor else {})}))
    found = Query.read(parameters).page()
    made = [_card(visitor, each, found.images[each.id]) for each in found.generations]
    return CardPage(made, found.next_cursor or "")


def cards(visitor: Visitor, generation_ids: Iterable[UUID]) -> list[Card]:
    """In no order. Needs the tenant's scope."""
    wanted = list(generation_ids)
    found = list(Generation.objects.select_related("model").filter(id__in=wanted, erased_at=None))
    images: dict[UUID, list[Image]] = {each.id: [] for each in found}
    for image in Image.objects.filter(generation__in=list(images), released_at__isnull=False).order_by("index"):
        images[image.generation_id].append(image)
    return [_card(visitor, each, images[each.id]) for each in found]


def one(visitor: Visitor, generation_id: UUID) -> Card:
    """Needs the tenant's scope. Raises Http404."""
    found = cards(visitor, [generation_id])
    if not found:
        raise Http404
    return found[0]


def place(visitor: Visitor, generation_id: UUID) -> Place:
    """Where it stands in the queue. Raises Http404."""
    with tenant_scope(visitor.tenant_id):
        if not Generation.objects.filter(id=generation_id, erased_at=None).exists():
            raise Http404
        return position.of(visitor.tenant_id, generation_id, progress=progress.of(generation_id) or 0.0)


def events_address(visitor: Visitor, generation_id: UUID) -> str:
    """Where a browser may follow this one, for a while (`tenants.tickets`)."""
    ticket = tickets.issue(principal_for(visitor), generation_id)
    return f"{reverse('generation-events', args=[generation_id])}?{urlencode({'ticket': ticket})}"


def _card(visitor: Visitor, generation: Generation, images: list[Image]) -> Card:
    words = shown_prompts(
        generation.prompt_sealed,
        generation.negative_prompt_sealed,
        key=visitor.data_key,
        generation_id=generation.id,
    )
    by_index = {image.index: image for image in images}
    slots = [
        Slot(index, image, address(image, base_url="") if image else "")
        for index in range(generation.n)
        for image in [by_index.get(index)]
    ]
    link = f"{reverse('playground')}?{urlencode(_settings(generation, words))}"
    stream = reverse("run-stream", args=[generation.id]) if generation.status in UNFINISHED else ""
    return Card(generation, words.prompt, words.negative_prompt, slots, link, stream)


def _settings(generation: Generation, words: Shown) -> dict[str, Any]:
    """What draws the same again, for a link. Given pictures are named by their id."""
    said = {
        "prompt": words.prompt if words.readable else "",
        "negative_prompt": words.negative_prompt,
        "model": generation.model.name,
        "steps": generation.steps,
        "width": generation.width,
        "height": generation.height,
        "cfg_scale": _spelled(generation.cfg_scale),
        "sampler": generation.sampler,
        "seed": generation.seed,
        "n": generation.n,
        "format": generation.format,
        "quality_target": generation.quality_target,
        "min_steps": generation.min_steps,
        "init_image": generation.init_image_id,
        "mask": generation.mask_id,
        "strength": None if generation.strength is None else _spelled(generation.strength),
        "clip_skip": generation.clip_skip,
    }
    return {name: value for name, value in said.items() if value not in {None, ""}}


def _spelled(number: float) -> str:
    """As a person writes it, with every digit that counts."""
    return f"{number:.15g}"
