"""Accepting work: choose a model, settle the request, and in one short transaction hold the credits, write the row and
queue it. Either all of it is committed, or nothing happened and nothing was charged."""

from typing import Any

from billing import ledger, plans, quotas
from easel.identifiers import new_id
from easel.problems import Problem
from generation import events, flows, inputs, quotes, routing
from generation.idempotency import IdempotencyKey
from generation.models import Generation, Model
from generation.prompts import seal_prompts
from generation.request import spec_for, within_plan
from generation.spec import GenerationSpec
from tenants.scope import tenant_scope
from tenants.tokens import Principal


def submit(
    asked: dict[str, Any], *, principal: Principal, request_id: str, idempotency: IdempotencyKey | None = None
) -> Generation:
    """A queued generation for validated fields. Raises Problem, DRF's ValidationError, or idempotency.Replayed."""
    asked = inputs.settle(asked, tenant_id=principal.tenant_id)
    with tenant_scope(principal.tenant_id):
        model = routing.choose(asked["model"])
        spec = spec_for(asked, model)
        limits = plans.limits_of(principal.tenant_id)
        within_plan(spec, limits)
        quote = quotes.price(asked, spec, model, principal.tenant_id)
        generation = _row(spec, model, limits, quote=quote, principal=principal, request_id=request_id)
        if idempotency is not None:
            idempotency.claim(principal.tenant_id, generation.id)
        generation.save(force_insert=True)
        quotas.count(principal.tenant_id, principal.key.key_id, price=generation.quote, limits=limits)
        try:
            ledger.hold(
                principal.tenant_id,
                generation.id,
                generation.quote,
                key_id=principal.key.key_id,
                model=model.name,
            )
        except ledger.InsufficientCredits as error:
            detail = f"This takes {generation.quote} credits, more than the wallet has available."
            raise Problem("insufficient_credits", detail) from error
        waiting = flows.enqueue(
            principal.tenant_id,
            model.pool_id,
            model.pool.name,
            weight=limits.queue_weight,
            cap=limits.running_jobs,
        )
        quotas.check_queue(waiting, limits)
        events.status_changed(principal.tenant_id, generation.id, generation.status)
    return generation


def _row(
    spec: GenerationSpec, model: Model, limits: plans.Limits, *, quote: int, principal: Principal, request_id: str
) -> Generation:
    generation_id = new_id()
    prompt, negative_prompt = seal_prompts(
        spec.prompt, spec.negative_prompt, key=principal.data_key, generation_id=generation_id
    )
    return Generation(
        id=generation_id,
        tenant_id=principal.tenant_id,
        key_id=principal.key.key_id,
        request_id=request_id,
        prompt_sealed=prompt,
        negative_prompt_sealed=negative_prompt,
        model=model,
        pool=model.pool,
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
