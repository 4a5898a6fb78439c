"""Whether a model can draw: a circuit breaker for each, shared by the workers that report and the web that asks.

Workers report how each job of a model ended (`report`). While its breaker is open, requests go to the model's fallback
or are refused at once, and queued jobs wait. When it is time, one job goes out as the probe: its token is the job's id.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings

from easel.breaker import Breaker, BreakerOpen, Rules, State, open_here, standing
from easel.valkey import CacheAway
from generation.models import Model
from tenants import audit

PREFIX: Final = "model:"
# What says that the model itself is ill. Other failures are of one request: it does not fit, or its numbers overflow.
MODEL_IS_ILL: Final = frozenset({"model_unavailable", "engine_failed", "attempts_exhausted"})


def breaker_of(model_id: UUID, *, label: str = "model") -> Breaker:
    rules = Rules(
        failures=settings.BREAKER_FAILURES,
        slow_calls=settings.BREAKER_FAILURES,
        slow_seconds=settings.SLOW_DRAWING_SECONDS,
        open_seconds=settings.BREAKER_OPEN_SECONDS,
        longest_open_seconds=max(300, settings.BREAKER_OPEN_SECONDS),
        probe_seconds=settings.BREAKER_PROBE_SECONDS,
    )
    return Breaker(f"{PREFIX}{model_id}", label=label, rules=rules)


def label_of(model: Model) -> str:
    """Models of everybody are few and known; a tenant's own is only "model" in a metric."""
    return f"model:{model.name}" if model.tenant_id is None else "model"


def admit(model: Model, generation_id: UUID) -> None:
    """Leave to queue this generation for the model, maybe as its probe. Raises BreakerOpen."""
    breaker_of(model.id, label=label_of(model)).admit(str(generation_id))


def is_open(model: Model) -> bool:
    """Closed, or open and due for a probe, is not open: a request may try."""
    state = breaker_of(model.id).state()
    return state.open and not state.due


def may_draw(model_id: UUID, generation_id: UUID) -> bool:
    """Asked by a worker that holds the job: False where the model's breaker is open and this is not its probe."""
    try:
        breaker_of(model_id).admit(str(generation_id))
    except BreakerOpen:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Shut:
    """Models that must not be drawn from now, and the jobs of theirs that are out as probes."""

    models: frozenset[UUID] = frozenset()
    probes: frozenset[UUID] = frozenset()


def shut() -> Shut:
    """What a worker passes over."""
    waiting = {model_id: state for model_id, state in _open().items() if not state.due}
    return Shut(frozenset(waiting), frozenset(UUID(state.probe) for state in waiting.values() if state.probe))


def pass_on(generation_ids: Collection[UUID]) -> None:
    """These have ended, and say nothing of their model: where one was its probe, another may go out."""
    ended = {str(each) for each in generation_ids}
    for model_id, state in _open().items():
        if state.probe in ended:
            breaker_of(model_id).withdraw(state.probe)


def close(model: Model) -> None:
    """Try it again at once. On record: whoever closes a breaker sends customers' work to what has just failed."""
    breaker_of(model.id).reset()
    audit.record("breaker.closed", tenant_id=None, object_kind="model", object_id=model.name)


def report(model_id: UUID, generation_id: UUID, *, label: str, ok: bool, seconds: float = 0.0) -> None:
    """How a job of the model ended: `seconds` is the time it was drawn."""
    breaker_of(model_id, label=label).report(str(generation_id), ok=ok, seconds=seconds)


def withdraw(model: Model, generation_id: UUID) -> None:
    """The request was not accepted after all."""
    breaker_of(model.id).withdraw(str(generation_id))


def _open() -> dict[UUID, State]:
    """The models whose breakers are open. Without the shared state it is what this process has counted itself: a job
    that `may_draw` refuses would otherwise be claimed and given back again and again."""
    try:
        known = {each.name: each.state for each in standing(PREFIX)}
    except CacheAway:
        known = open_here()
    return {UUID(name.removeprefix(PREFIX)): state for name, state in known.items() if name.startswith(PREFIX)}
