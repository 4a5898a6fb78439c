"""Accepting work: have it judged, choose a model, settle the request, and in one short transaction answer it from the
cache, or hold the credits, write the row, and queue it or let it follow an equal one that is in flight. Either all of
that is committed, or nothing happened and nothing was charged. What moderation blocks is written down as rejected."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.serializers import ValidationError

from billing import ledger, plans, pricing, quotas
from easel import metrics
from easel.breaker import BreakerOpen
from easel.database import answers, insert, inserting, on_commit
from easel.identifiers import new_id
from easel.problems import Problem
from easel.tracing import traced
from generation import (
    availability,
    cache,
    copies,
    events,
    fingerprints,
    flows,
    inflight,
    inputs,
    judging,
    quotes,
    refusals,
    rehearsal,
    routing,
    sharing,
)
from generation.fingerprints import Fingerprints
from generation.idempotency import IdempotencyKey
from generation.models import Generation, Image, Model
from generation.prompts import seal_prompts
from generation.request import spec_for, within_plan
from generation.routing import Choice
from generation.spec import GenerationSpec
from moderation import findings, policy, prompts
from moderation.findings import Judgment
from tenants import data_policy, webhooks
from tenants.scope import tenant_scope, tenant_scope_asking
from tenants.tokens import Principal


@dataclass(frozen=True, slots=True)
class Accepted:
    """A generation: queued, or with its images where the cache had it."""

    generation: Generation
    images: list[Image]


@traced("submit")
def submit(
    asked: dict[str, Any], *, principal: Principal, request_id: str, idempotency: IdempotencyKey | None = None
) -> Accepted:
    """A generation for validated fields. Raises Problem (content_rejected once that is stored), DRF's ValidationError,
    or idempotency.Replayed."""
    try:
        accepted = _submitted(asked, principal=principal, request_id=request_id, idempotency=idempotency)
    except (Problem, ValidationError):
        if idempotency is not None:  # what it names may be gone since, or its quote over: it was accepted all the same
            idempotency.recall(principal.tenant_id)
        raise
    if isinstance(accepted, Problem):  # its row is committed
        raise accepted
    return accepted


def _submitted(
    asked: dict[str, Any], *, principal: Principal, request_id: str, idempotency: IdempotencyKey | None
) -> Accepted | Problem:
    if principal.test_mode:
        rehearsed = _rehearse(asked, principal=principal, request_id=request_id, idempotency=idempotency)
        return Accepted(rehearsed, [])
    asked = inputs.settle(asked, tenant_id=principal.tenant_id)
    tenant_id, key_id = principal.tenant_id, principal.key.key_id
    # These two ask the screening process: not while a transaction is open.
    words = prompts.read(asked["prompt"], asked["negative_prompt"], tenant_id=tenant_id, key_id=key_id)
    guess = routing.guess(asked)
    choice: Choice
    limits: plans.Limits
    wishes: data_policy.Policy
    judged: Judgment
    with tenant_scope_asking(
        tenant_id,
        routing.choosing(asked["model"], tenant_id, guess),
        data_policy.along(plans.limits(tenant_id), tenant_id=tenant_id),
        words.judging(tenant_id=tenant_id, data_key=principal.data_key),
    ) as (choice, (limits, wishes), judged):
        judgment = judging.with_start(judged, asked.get("init_image"), tenant_id=tenant_id, key_id=key_id)
        order = _order(asked, choice, limits, wishes, judgment, principal=principal, request_id=request_id)
        if idempotency is not None:
            idempotency.claim(tenant_id, order.row.id)
        findings.store(tenant_id, judgment, generation_id=order.row.id)
        accepted = refusals.keep(order.row, judgment) or _taken_on(order)
    return accepted


def _taken_on(order: "Order") -> Accepted:
    """Part of the transaction that accepts it."""
    images = _recalled(order)
    if images is not None:
        return Accepted(order.row, images)
    order = _to_whom_can(order)
    try:
        images = _accept(order)
    except BaseException:
        availability.withdraw(order.model, order.row.id)
        raise
    if order.row.draws_with is not None or images:  # no drawing, so no probe
        availability.withdraw(order.model, order.row.id)
    return Accepted(order.row, images)


@dataclass(frozen=True, slots=True)
class Order:
    """A settled request: its row, not yet written, and what it is made of."""

    asked: dict[str, Any]
    principal: Principal
    choice: Choice
    spec: GenerationSpec
    limits: plans.Limits
    wishes: data_policy.Policy
    keys: Fingerprints
    judgment: Judgment
    row: Generation

    @property
    def model(self) -> Model:
        return self.choice.model

    @property
    def any_seed(self) -> bool:
        return self.asked.get("seed") is None

    @property
    def shares(self) -> bool:
        """Whether another's pictures will do: a seed was asked for, or none and the caller said so. What is held for
        its own words is nobody else's, and nobody else's is given to it."""
        reuse = self.asked.get("reuse")
        held = self.judgment.action != "allow"
        return not held and reuse is not False and (not self.any_seed or bool(reuse))


def _order(
    asked: dict[str, Any], choice: Choice, limits: plans.Limits, wishes: data_policy.Policy, judgment: Judgment, *,
    principal: Principal, request_id: str, row_id: UUID | None = None,
) -> Order:  # fmt: skip
    model = choice.model
    spec = spec_for(asked, model)
    within_plan(spec, limits)
    marked = policy.effective(principal.tenant_id, principal.key.key_id).visible_mark
    keys = fingerprints.of(spec, model, principal.data_key, marked=marked, wishes=wishes)
    quote = _price(asked, spec, choice, principal.tenant_id)
    row = _row(
        spec, choice, limits, quote=quote, principal=principal, request_id=request_id, row_id=row_id or new_id()
    )  # fmt: skip
    row.fingerprint, row.seedless = keys.exact, keys.seedless
    row.asked_model, row.fallback = asked["model"], asked.get("fallback", True)
    row.screened, row.category = judging.screened(judgment), judgment.category
    return Order(asked, principal, choice, spec, limits, wishes, keys, judgment, row)


def _recalled(order: Order) -> list[Image] | None:
    """Answer from the cache: earlier pictures of the tenant's own, at the plan's price for that."""
    if not order.shares:
        return None
    row, tenant_id = order.row, order.principal.tenant_id
    original = _earlier(order)
    if original is None:
        return None
    row.status, row.cached_from, row.seed = Generation.Status.COMPLETED, original.generation_id, original.seed
    row.steps_run, row.model_version, row.warnings = original.steps_run, original.model_version, original.warnings
    row.receipt = original.receipt
    row.quote = row.credits = pricing.cached_credits(row.quote, percent=order.limits.cached_price_percent)
    row.started_at = row.finished_at = datetime.now(UTC)
    row.timings = {"queued_seconds": 0, "drawing_seconds": 0, "total_seconds": 0}
    images, listeners = _handed_over(order, original)
    events.completed_at_once(tenant_id, row.id, url=row.webhook_url, listeners=listeners)
    on_commit(partial(_count_recalled, len(images)))
    return images


def _count_recalled(images: int) -> None:
    metrics.CACHE_ANSWERS.labels("cached").inc()
    metrics.IMAGES_DELIVERED.inc(images)


def _handed_over(order: Order, original: copies.Original) -> tuple[list[Image], list[UUID]]:
    """Its row, its images, its count and its payment, in one round trip; and who hears of it."""
    row, key_id = order.row, order.principal.key.key_id
    count = len(original.image_ids)
    paying = partial(ledger.paying, row.tenant_id, row.id, row.quote, key_id=key_id, model=order.model.name)
    with _uncovered(row.quote):
        _, images, _, listeners, *_ = answers(
            inserting(row),
            copies.giving(original, tenant_id=row.tenant_id, generation_id=row.id),
            quotas.counting(row.tenant_id, key_id, price=row.quote, limits=order.limits, taken=True),
            webhooks.listeners(row.tenant_id, events.WEBHOOKS[row.status]),
            *(paying(images=count) if row.quote else ()),
        )
    return images, listeners


def _earlier(order: Order) -> copies.Original | None:
    """What the cache has, locked for handing over. A level that remembers what is no longer so is asked no more."""
    tenant_id, version = order.principal.tenant_id, order.model.version
    fingerprint = order.keys.seedless if order.any_seed else order.keys.exact
    found = cache.recall(tenant_id, fingerprint, model_version=version, seedless=order.any_seed)
    if found is None:
        return None
    original = _taken(order, found)
    if original is None:
        cache.drop_note(tenant_id, fingerprint)
        again = cache.look_in_store(tenant_id, fingerprint, model_version=version, seedless=order.any_seed)
        original = _taken(order, again) if again not in {None, found} else None
    return original


def _taken(order: Order, found: UUID | None) -> copies.Original | None:
    tenant_id = order.principal.tenant_id
    original = copies.take(tenant_id, found, standing=True) if found is not None else None
    if original is None or sharing.judged(tenant_id, order.principal.key.key_id, original) != "allow":
        return None
    return original


def _to_whom_can(order: Order) -> Order:
    """The order itself while its model draws, or else for its fallback. Raises model_unavailable where neither does."""
    try:
        availability.admit(order.model, order.row.id)
    except BreakerOpen as closed:
        others = routing.fallbacks_of(order.choice, order.principal.tenant_id) if order.row.fallback else ()
        other = next(filter(None, (_with(order, choice) for choice in others)), None)
        if other is None:
            detail = f"The model {order.model.name} fails at the moment. Nothing was charged."
            headers = {"Retry-After": str(closed.retry_after)}
            raise Problem("model_unavailable", detail, headers=headers) from closed
        metrics.FALLBACKS.labels("submitted").inc()
        return other
    return order


def _with(order: Order, choice: Choice) -> Order | None:
    """The same request for another model; None where that cannot draw it."""
    row, model = order.row, choice.model
    if order.spec.init_image is not None and not routing.takes_pictures(model):
        return None
    try:
        other = _order(
            order.asked, choice, order.limits, order.wishes, order.judgment, principal=order.principal,
            request_id=row.request_id, row_id=row.id,
        )  # fmt: skip
        availability.admit(model, row.id)  # last: while a probe is out, nobody else gets one
    except (BreakerOpen, ValidationError):
        return None
    return other


def _accept(order: Order) -> list[Image]:
    """Write the row, hold its credits, and queue it, unless an equal request that is in flight draws it already.
    Returns images only where that has just ended."""
    row, tenant_id = order.row, order.principal.tenant_id
    if order.shares:
        _follow_or_lead(order)
        images = _recalled(order) if row.draws_with is None else None
        if images is not None:  # its last leader ended just before we took the lead
            inflight.leave(tenant_id, row.id)
            return images
    _write(order)
    events.status_changed(tenant_id, row.id, row.status)
    return []


def _write(order: Order) -> None:
    """Its row, its count, its hold and, unless it follows another, its place in the queue, in one round trip."""
    row, limits, pool = order.row, order.limits, order.model.pool
    tenant_id, key_id = row.tenant_id, order.principal.key.key_id
    waits = flows.waiting(tenant_id) if row.draws_with is not None else flows.enqueueing(
        tenant_id, pool.id, pool.name, work=row.work, weight=limits.queue_weight, cap=limits.running_jobs
    )  # fmt: skip
    with _uncovered(row.quote):
        *_, waiting = answers(
            inserting(row),
            quotas.counting(tenant_id, key_id, price=row.quote, limits=limits, taken=True),
            *ledger.holding(tenant_id, row.id, row.quote, key_id=key_id, model=order.model.name),
            waits,
        )
    quotas.check_queue(waiting, limits)


def _follow_or_lead(order: Order) -> None:
    # Whoever may not be sent to another model shares with those alone who may not either.
    mark = b"\1" if order.row.fallback else b"\0"
    wanted = [order.keys.seedless, order.keys.exact] if order.any_seed else [order.keys.exact]
    leader = inflight.join(order.principal.tenant_id, order.row.id, [mark + each for each in wanted])
    if leader is not None:
        order.row.draws_with, order.row.seed = leader.generation_id, leader.seed
        order.row.fingerprint = leader.fingerprint


@contextmanager
def _uncovered(price: int) -> Iterator[None]:
    try:
        yield
    except ledger.InsufficientCredits as error:
        detail = f"This takes {price} credits, more than the wallet has available."
        raise Problem("insufficient_credits", detail) from error


def _price(asked: dict[str, Any], spec: GenerationSpec, choice: Choice, tenant_id: UUID) -> int:
    """What is held. A fallback costs its own price, or that of the model that was asked for, if that is less."""
    if choice.instead_of is None:
        return quotes.price(asked, spec, choice.model, tenant_id)
    own = quotes.price(asked, spec_for(asked, choice.instead_of), choice.instead_of, tenant_id)
    return min(own, spec.price(factor=choice.model.factor, native_size=choice.model.native_size))


def _rehearse(
    asked: dict[str, Any], *, principal: Principal, request_id: str, idempotency: IdempotencyKey | None
) -> Generation:
    """The same for a test key: free, and drawn by nobody. Raises Problem too_many_queued, too."""
    rehearsal.refuse(asked)
    priceless = {name: value for name, value in asked.items() if name != "quote"}
    asked = inputs.settle(priceless, tenant_id=principal.tenant_id)
    with tenant_scope(principal.tenant_id):
        choice, limits = answers(
            routing.choosing(asked["model"], principal.tenant_id), plans.limits(principal.tenant_id)
        )
        unjudged, nothing = rehearsal.UNJUDGED, data_policy.Policy()  # what is rehearsed is never handed out again
        row = _order(asked, choice, limits, nothing, unjudged, principal=principal, request_id=request_id).row
        rehearsal.enroll(row)
        if idempotency is not None:
            idempotency.claim(principal.tenant_id, row.id)
        insert(row)
        rehearsal.check_waiting(row, limits)
        events.status_changed(principal.tenant_id, row.id, row.status)
    return row


def _row(
    spec: GenerationSpec,
    choice: Choice,
    limits: plans.Limits,
    *,
    quote: int,
    principal: Principal,
    request_id: str,
    row_id: UUID,
) -> Generation:
    model = choice.model
    prompt, negative_prompt = seal_prompts(
        spec.prompt, spec.negative_prompt, key=principal.data_key, generation_id=row_id
    )
    return Generation(
        id=row_id,
        tenant_id=principal.tenant_id,
        key_id=principal.key.key_id,
        request_id=request_id,
        prompt_sealed=prompt,
        negative_prompt_sealed=negative_prompt,
        model=model,
        pool=model.pool,
        fallback_from=choice.instead_of.name if choice.instead_of else "",
        route=choice.route,
        steps=spec.steps,
        width=spec.width,
        height=spec.height,
        cfg_scale=spec.cfg_scale,
        sampler=spec.sampler,
        seed=spec.seed,
        n=spec.n,
        format=spec.format,
        init_image_id=spec.init_image.id if spec.init_image else None,
        mask_id=spec.mask.id if spec.mask else None,
        strength=spec.strength,
        clip_skip=spec.clip_skip,
        quality_target=spec.quality_target,
        min_steps=spec.min_steps,
        metadata=spec.metadata,
        webhook_url=spec.webhook_url,
        priority=limits.priority,
        work=spec.work(factor=model.factor, native_size=model.native_size),
        quote=quote,
    )
