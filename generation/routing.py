"""Which model draws a request: the one that was named, or for "auto" the one for prompts of this category."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from django.db.models import Exists, OuterRef, Q, QuerySet

from easel import metrics
from easel.database import Question
from easel.problems import invalid
from generation import categories, pick
from generation.categories import Guess
from generation.models import Model, ModelAccess
from generation.pick import BACKUP_NAME
from moderation.screening.client import ScreeningDown, embed
from moderation.text.reading import readable

log = structlog.get_logger(__name__)

AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, what "auto" had to do with it, and whose place it takes."""

    model: Model
    route: dict[str, Any] | None = None
    instead_of: Model | None = None


def guess(asked: dict[str, Any]) -> Guess | None:
    """The prompt's category, for "auto" only. None where there is nobody to ask: the default model draws it then."""
    if asked["model"] != AUTO or not asked["prompt"]:
        return None
    try:
        (embedding,) = embed([readable(asked["prompt"])])  # moderation's reading: one embedding serves both
    except ScreeningDown as error:
        log.warning("routing.without_embedding", error=str(error))
        metrics.ROUTING.labels("unknown").inc()
        return None
    guessed = categories.head().guess(embedding)
    metrics.ROUTING.labels(guessed.category).inc()
    return guessed


def choose(name: str, tenant_id: UUID, guessed: Guess | None = None) -> Choice:
    """The model of that name that the current tenant may use. A 400 where there is none."""
    return choosing(name, tenant_id, guessed).ask()


def choosing(name: str, tenant_id: UUID, guessed: Guess | None = None) -> Question[Choice]:
    """The same, to be asked with others."""
    if name == AUTO:
        return _automatic(tenant_id, guessed)
    asked = pick.named(tenant_id, name)

    def read(rows: list[tuple[Any, ...]]) -> Choice:
        found = asked.read(rows)
        if found is None:
            raise invalid("model", "unknown_model", f"There is no model {name!r}. GET /v1/models lists yours.")
        return Choice(found.model)

    return Question(asked.sql, asked.parameters, read)


def usable(tenant_id: UUID) -> QuerySet[Model]:
    """What this tenant may ask for now, to be listed, whoever asks: the clock sees the models of all tenants. `pick`
    asks the same of one."""
    given = ModelAccess.objects.filter(tenant_id=tenant_id, model=OuterRef("pk"))
    mine = Q(restricted=False) | Q(tenant=tenant_id) | Exists(given)
    return _drawing().filter(Q(tenant=None) | Q(tenant=tenant_id)).filter(mine).exclude(tenant=None, name=BACKUP_NAME)


def takes_pictures(model: Model) -> bool:
    """Whether it may draw what starts from a given picture: the backup service is sent words alone."""
    return model.tenant_id is not None or model.name != BACKUP_NAME


def fallbacks_of(choice: Choice, tenant_id: UUID) -> Iterator[Choice]:
    """Who draws while this model cannot, in the order to try them: its fallback, then the backup service."""
    if choice.model.fallback_id is not None:
        for other in usable(tenant_id).filter(id=choice.model.fallback_id):
            yield Choice(other, choice.route, choice.model)
    for other in _drawing().filter(tenant=None, name=BACKUP_NAME):
        yield Choice(other, choice.route, choice.model)


def _drawing() -> QuerySet[Model]:
    return Model.objects.select_related("pool").filter(enabled=True, retired_at=None)


def _automatic(tenant_id: UUID, guessed: Guess | None) -> Question[Choice]:
    believed = guessed is not None and guessed.confidence >= categories.head().threshold
    asked = pick.for_category(tenant_id, guessed.category if guessed and believed else None)

    def read(rows: list[tuple[Any, ...]]) -> Choice:
        found = asked.read(rows)
        if found is None:
            raise invalid(
                "model", "no_default_model", "There is no default model. Name one: GET /v1/models lists yours."
            )
        route = {
            "category": guessed.category if guessed else None,
            "confidence": round(guessed.confidence, 4) if guessed else None,
            "decided_by": "tenant" if found.own else "category" if found.fits else "default",
            "version": categories.head().version,
        }
        return Choice(found.model, route)

    return Question(asked.sql, asked.parameters, read)


def model_for(tenant_id: UUID, category: str) -> tuple[Model | None, bool]:
    """What the tenant set for the category (True), or else the model whose operator named it (False). None where
    nobody did: the default one draws it."""
    found = pick.for_category(tenant_id, category).ask()
    return (found.model, found.own) if found and (found.own or found.fits) else (None, False)
