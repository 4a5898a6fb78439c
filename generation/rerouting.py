"""Jobs that wait for a model that fails: after REROUTE_SECONDS its fallback draws them, where the caller allows it, at
the lower of their quote and its price. What the fallback cannot draw goes on waiting."""

from typing import Any, Final
from uuid import UUID

from django.conf import settings

from easel import metrics
from easel.database import atomic, changed, rows
from generation import availability, flows, inflight, routing
from generation.models import Generation, Model
from generation.routing import Choice
from generation.spec import GenerationSpec, InputReference

BATCH: Final = 200

_OVERDUE: Final = """
FROM generation_generation
WHERE model_id = %(model)s AND status = 'queued' AND draws_with IS NULL AND fallback AND NOT id = ANY(%(probes)s)
    AND created_at < now() - make_interval(secs => %(seconds)s)
"""
_TENANTS: Final = f"SELECT DISTINCT tenant_id {_OVERDUE}"
_WAITING: Final = f"SELECT id {_OVERDUE} AND tenant_id = ANY(%(tenants)s) ORDER BY id LIMIT %(batch)s"

# What another model drew answers no later request for this one: the row loses its fingerprints.
_MOVE: Final = """
UPDATE generation_generation SET model_id = %(other)s, pool_id = %(pool)s, fallback_from = %(instead_of)s,
    work = %(work)s, quote = least(quote, %(price)s), fingerprint = NULL, seedless = NULL
WHERE id = %(id)s AND status = 'queued'
"""


def reroute_waiting() -> int:
    """Needs the platform role. Returns how many jobs were moved."""
    shut = availability.shut()
    moved = 0
    for model in Model.objects.select_related("fallback__pool", "pool").filter(id__in=shut.models):
        other = model.fallback
        if other is None or not other.enabled or other.retired_at is not None or availability.is_open(other):
            continue
        waiting = {"model": model.id, "seconds": settings.REROUTE_SECONDS, "batch": BATCH, "probes": list(shut.probes)}
        # Asked before the batch is read: jobs of those who may not use it would fill the batch for good.
        tenants = [tenant_id for (tenant_id,) in rows(_TENANTS, waiting) if _may_use(tenant_id, model, other)]
        waiting["tenants"] = tenants
        moved += sum(_move(generation_id, model, other) for (generation_id,) in rows(_WAITING, waiting))
    return moved


def _may_use(tenant_id: UUID, model: Model, other: Model) -> bool:
    """The rule that a submission's fallback is found by."""
    return any(choice.model == other for choice in routing.fallbacks_of(Choice(model), tenant_id))


def _move(generation_id: UUID, model: Model, other: Model) -> bool:
    with atomic():
        locked = rows(
            "SELECT 1 FROM generation_generation WHERE id = %s AND status = 'queued' AND model_id = %s "
            "FOR NO KEY UPDATE SKIP LOCKED",
            [generation_id, model.id],
        )
        if not locked:  # claimed or canceled since we looked
            return False
        row = Generation.objects.get(id=generation_id)
        if not _fits(row, other):
            return False
        moved = _moved(row, model, other)
        changed(_MOVE, moved)
        # Its followers get what it draws; nobody new follows it.
        inflight.leave(row.tenant_id, row.id)
        if other.pool_id != model.pool_id:
            flows.withdrawn(row.tenant_id, model.pool_id, work=row.work)
            inflight.Heir(row.tenant_id, other.pool_id, other.pool.name, moved["work"]).enqueue()
        else:
            flows.replanned(row.tenant_id, other.pool_id, change=moved["work"] - row.work)
    metrics.FALLBACKS.labels("waited").inc()
    return True


def _fits(row: Generation, other: Model) -> bool:
    if row.init_image_id is not None and not routing.takes_pictures(other):
        return False
    sizes = (row.width, row.height)
    return all(other.min_size <= size <= other.max_size for size in sizes) and row.steps <= other.max_steps


def _moved(row: Generation, model: Model, other: Model) -> dict[str, Any]:
    spec = _spec(row)
    return {
        "id": row.id,
        "other": other.id,
        "pool": other.pool_id,
        "instead_of": row.fallback_from or model.name,
        "work": spec.work(factor=other.factor, native_size=other.native_size),
        "price": spec.price(factor=other.factor, native_size=other.native_size),
    }


def _spec(row: Generation) -> GenerationSpec:
    """What decides the work; the words do not."""
    given = None
    if row.init_image_id is not None:
        given = InputReference(id=row.init_image_id, sha256="", width=row.width, height=row.height)
    return GenerationSpec(
        prompt="",
        negative_prompt="",
        steps=row.steps,
        width=row.width,
        height=row.height,
        cfg_scale=row.cfg_scale,
        sampler=row.sampler,
        seed=row.seed,
        n=row.n,
        format="png",
        init_image=given,
        strength=row.strength,
    )
