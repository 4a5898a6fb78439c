"""Where a worker gets its work and leaves its results.

`WorkSource` is what production sees; `PostgresSource` keeps it in the database under the platform role (a source over
HTTPS for edge nodes can stand beside it). A claimed job is held by a random `lease_id` that expires by database time:
every later statement names it, so that a worker that was thought dead changes nothing when it wakes.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import UUID, uuid4

import structlog
from django.conf import settings

from billing import pricing
from easel import metrics
from easel.crypto import CryptoError, DataKey, open_data_key
from easel.database import atomic, changed, platform_role, rows
from easel.identifiers import new_id
from generation import availability, cache, endings, events, flows, outcomes, sealed_images, turns
from generation.availability import Shut
from generation.endings import Ending
from generation.jobs import Delivery, GivenObject, Job
from generation.outcomes import Outcome
from generation.prompts import open_prompts
from generation.turns import Turn
from tenants import data_policy

log = structlog.get_logger(__name__)


class WorkSource(Protocol):
    """Every method that takes a job returns False where its lease is no longer held; then nothing was changed."""

    def claim(self, pool: str, *, limit: int) -> list[Job]:
        """Lease up to `limit` of the most deserving jobs of a pool."""

    def ready(self, pool: str) -> bool:
        """Whether a claim would find work now."""

    def renew(self, lease_ids: Collection[UUID]) -> set[UUID]:
        """Prolong the leases; returns those still held."""

    def intend(self, job: Job, index: int, extension: str) -> str:
        """The object key for an image, noted before anything is put there."""

    def canceled(self, lease_ids: Collection[UUID]) -> set[UUID]:
        """Those of these leases whose customer has canceled."""

    def complete(self, job: Job, deliveries: Sequence[Delivery]) -> bool:
        """The job's one good ending: images adopted, credits settled, the flow corrected. What moderation said of them
        decides what kind of good: completed, in review, or rejected."""

    def cancel(self, job: Job, deliveries: Sequence[Delivery], *, begun: Sequence[int]) -> bool:
        """The ending of a job that was canceled while it was drawn. Images that may be shown are adopted and paid in
        full, the others dropped; `begun` are the steps run for each of the others, paid as docs/billing.md states."""

    def discard(self, job: Job) -> None:
        """Doom what this lease put into storage: its images are nobody's."""

    def fail(self, job: Job, *, code: str, detail: str) -> bool:
        """The job's one bad ending. Nothing is charged."""

    def give_back(self, job: Job, *, counted: bool) -> bool:
        """Let somebody else draw it. An uncounted attempt (a clean stop) does not bring the job nearer to failing. One
        that was canceled meanwhile ends instead, for nothing."""


_LEASE_NEXT: Final = """
UPDATE generation_generation AS g SET
    status = 'running', lease_id = %(lease)s, lease_expires_at = now() + make_interval(secs => %(seconds)s),
    attempts = attempts + 1, started_at = coalesce(started_at, now())
FROM generation_model m, tenants_tenant t
WHERE g.id = (
    SELECT id FROM generation_generation
    WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s AND status = 'queued' AND draws_with IS NULL
        AND (NOT model_id = ANY(%(shut)s) OR id = ANY(%(probes)s))
    ORDER BY priority DESC, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
) AND m.id = g.model_id AND t.id = g.tenant_id
RETURNING g.id, g.request_id, g.attempts, g.prompt_sealed, g.negative_prompt_sealed, g.steps, g.width, g.height,
    g.cfg_scale, g.sampler, g.seed, g.n, g.format,
    (SELECT ARRAY[convert_to(object_key, 'UTF8'), key_sealed] FROM generation_input i WHERE i.id = g.init_image_id),
    (SELECT ARRAY[convert_to(object_key, 'UTF8'), key_sealed] FROM generation_input i WHERE i.id = g.mask_id),
    g.strength, g.clip_skip, g.quality_target, g.min_steps, g.work, g.quote, m.name, m.source, m.revision, m.digest,
    m.native_size, m.prompt_prefix, m.id,
    CASE WHEN m.tenant_id IS NULL THEN 'model:' || m.name ELSE 'model' END, t.data_key, t.data_key_version,
    extract(epoch FROM now() - g.created_at)::float, g.key_id, g.screened,
    """ + data_policy.AS_JSON.format(tenant="g.tenant_id")  # noqa: S608  no value is put in

_RENEW: Final = """
UPDATE generation_generation SET lease_expires_at = now() + make_interval(secs => %(seconds)s)
WHERE lease_id = ANY(%(leases)s) AND status = 'running' RETURNING lease_id
"""

_CANCELED: Final = """
SELECT lease_id FROM generation_generation
WHERE lease_id = ANY(%s) AND status = 'running' AND cancel_requested_at IS NOT NULL
"""

# Every ending names the lease: where somebody else holds the job by now, it touches no row.
_END: Final = """
UPDATE generation_generation SET status = %(status)s, finished_at = now(), lease_id = NULL, lease_expires_at = NULL,
    credits = %(credits)s, error_code = %(error_code)s, error_detail = %(error_detail)s
WHERE id = %(id)s AND lease_id = %(lease)s AND status = 'running'
"""

_DELIVER: Final = """
UPDATE generation_generation SET status = %(status)s, finished_at = now(), lease_id = NULL, lease_expires_at = NULL,
    credits = %(credits)s, steps_run = %(steps_run)s, model_version = %(model_version)s,
    error_code = %(error_code)s, error_detail = %(error_detail)s, unscreened = erased_at IS NULL AND %(unscreened)s,
    category = coalesce(%(category)s, category),
    receipt = %(receipt)s,
    warnings = CASE WHEN erased_at IS NULL THEN %(warnings)s::text[] ELSE warnings END,
    timings = jsonb_build_object(
        'queued_seconds', round(extract(epoch FROM started_at - created_at)::numeric, 3),
        'drawing_seconds', round(%(seconds)s::numeric, 3),
        'total_seconds', round(extract(epoch FROM now() - created_at)::numeric, 3))
WHERE id = %(id)s AND lease_id = %(lease)s AND status = 'running' RETURNING
    erased_at IS NOT NULL, extract(epoch FROM now() - created_at)::float
"""

_GIVE_BACK: Final = """
UPDATE generation_generation SET status = 'queued', lease_id = NULL, lease_expires_at = NULL, started_at = NULL,
    attempts = attempts - %(uncounted)s
WHERE id = %(id)s AND lease_id = %(lease)s AND status = 'running' AND cancel_requested_at IS NULL
"""

_ADOPT: Final = """
INSERT INTO generation_image (id, tenant_id, generation_id, index, seed, width, height, content_type, bytes, sha256,
    object_key, key_sealed, steps_run, quality_score, reading,
    released_at)
VALUES (%(id)s, %(tenant)s, %(generation)s, %(index)s, %(seed)s, %(width)s, %(height)s, %(content_type)s, %(bytes)s,
    %(sha256)s, %(object_key)s, %(key_sealed)s, %(steps_run)s, %(quality_score)s, %(reading)s,
    CASE WHEN %(released)s THEN now() END)
"""

_HEIR: Final = """
SELECT id, quote, key_id, screened FROM generation_generation
WHERE lease_id = %(lease)s AND status = 'running' AND id <> %(id)s
"""

_DOOM: Final = """
WITH leftover AS (
    DELETE FROM generation_objectintent WHERE tenant_id = %s AND object_key = ANY(%s)
    RETURNING id, tenant_id, object_key
)
INSERT INTO generation_doomedobject (id, tenant_id, object_key) SELECT id, tenant_id, object_key FROM leftover
ON CONFLICT (tenant_id, object_key) DO NOTHING
"""

_INTEND: Final = """
INSERT INTO generation_objectintent (id, tenant_id, object_key) VALUES (%s, %s, %s)
ON CONFLICT (tenant_id, object_key) DO UPDATE SET created_at = now()
"""


class PostgresSource:
    """Work in the platform's own database."""

    def claim(self, pool: str, *, limit: int) -> list[Job]:
        """The pool's row is locked for the length of the claim, which makes claims exact and never empty-handed while
        work is ready. The commit does not wait for the disk: a claim lost in a crash is a job that is still queued."""
        shut = availability.shut()  # asked before anything is locked
        jobs: list[Job] = []
        passed: list[
            UUID
        ] = []  # flows whose queued rows are all locked by somebody's cancel, or of a model that is shut
        with platform_role(), atomic():
            try:
                turn = turns.lock(pool)
            except turns.UnknownPool:
                log.exception("source.unknown_pool", pool=pool)
                return []
            while turn is not None:
                job = self._lease_next(turn, pool, shut)
                jobs.append(job) if job else passed.append(turn.tenant_id)
                turn = turns.look_again(pool, passed) if len(jobs) < limit else None
        metrics.CLAIMS.labels("work" if jobs else "empty").inc()
        for job in jobs:  # told after the commit: the pool's lock is not held for listeners
            events.status_changed(job.tenant_id, job.generation_id, "running")
            metrics.CLAIM_ATTEMPTS.labels(str(job.attempts)).inc()
            if job.attempts == 1:
                metrics.GENERATION_WAIT_SECONDS.labels(pool).observe(job.waited_seconds)
        return jobs

    def ready(self, pool: str) -> bool:
        with platform_role():
            found = rows(
                "SELECT 1 FROM generation_flow f JOIN generation_pool p ON p.id = f.pool_id "
                "WHERE p.name = %s AND f.ready LIMIT 1",
                [pool],
            )
        return bool(found)

    def renew(self, lease_ids: Collection[UUID]) -> set[UUID]:
        parameters = {"leases": list(lease_ids), "seconds": settings.LEASE_SECONDS}
        with platform_role(), atomic():
            rows("SET LOCAL synchronous_commit = off")
            return {lease_id for (lease_id,) in rows(_RENEW, parameters)}

    def canceled(self, lease_ids: Collection[UUID]) -> set[UUID]:
        with platform_role():
            return {lease_id for (lease_id,) in rows(_CANCELED, [list(lease_ids)])}

    def intend(self, job: Job, index: int, extension: str) -> str:
        object_key = _object_key(job, index, extension)
        with platform_role():
            changed(_INTEND, [new_id(), job.tenant_id, object_key])
        return object_key

    def complete(self, job: Job, deliveries: Sequence[Delivery]) -> bool:
        return self._deliver(job, deliveries, status="completed", begun=())

    def cancel(self, job: Job, deliveries: Sequence[Delivery], *, begun: Sequence[int]) -> bool:
        return self._deliver(job, deliveries, status="canceled", begun=begun)

    def discard(self, job: Job) -> None:
        with platform_role():
            changed(_DOOM, [job.tenant_id, [_object_key(job, index, job.format) for index in range(job.n)]])

    def fail(self, job: Job, *, code: str, detail: str) -> bool:
        return self._end(job, status="failed", code=code, detail=detail)

    def give_back(self, job: Job, *, counted: bool) -> bool:
        if counted and job.attempts >= settings.MAX_ATTEMPTS:
            detail = f"The drawing was tried {job.attempts} times and did not end well."
            return self.fail(job, code="attempts_exhausted", detail=detail)
        parameters = {"id": job.generation_id, "lease": job.lease_id, "uncounted": 0 if counted else 1}
        with platform_role(), atomic():
            if changed(_GIVE_BACK, parameters) == 0:
                heir = self._heir(job)
                return self.give_back(heir, counted=counted) if heir else self._end(job, status="canceled")
            flows.given_back(job.tenant_id, job.pool_id, job.pool, work=job.work)
            events.status_changed(job.tenant_id, job.generation_id, "queued")
        return True

    def _end(self, job: Job, *, status: str, code: str = "", detail: str = "") -> bool:
        """An ending without pictures, at no cost."""
        parameters = {
            "id": job.generation_id, "lease": job.lease_id, "status": status, "credits": 0, "error_code": code,
            "error_detail": detail[:2000],
        }  # fmt: skip
        with platform_role(), atomic():
            if changed(_END, parameters) == 0:
                heir = self._heir(job)
                return self._end(heir, status=status, code=code, detail=detail) if heir else False
            endings.follow(_ending(job, status=status, error_code=code))
        return True

    def _heir(self, job: Job) -> Job | None:
        """The job under its lease's new owner: whoever was canceled while others wanted the same picture has left it
        to the first of them (`sharing.detach`). None where the lease is lost, or is the job's own."""
        for generation_id, quote, key_id, screened in rows(_HEIR, {"lease": job.lease_id, "id": job.generation_id}):
            return replace(job, generation_id=generation_id, quote=quote, key_id=key_id, screened=screened)
        return None

    def _deliver(self, job: Job, deliveries: Sequence[Delivery], *, status: str, begun: Sequence[int]) -> bool:
        """An ending with the pictures that there are."""
        outcome = Outcome.of(job, deliveries, canceled=status == "canceled")
        stored = [delivery.steps_run for delivery in outcome.kept]
        steps_run = sum(delivery.steps_run for delivery in deliveries) + sum(begun)
        credits_ = pricing.settled_credits(job.quote, n=job.n, steps=job.planned_steps, stored=stored, abandoned=begun)
        ending = {
            "id": job.generation_id,
            "lease": job.lease_id,
            "status": outcome.status,
            "credits": credits_,
            "steps_run": steps_run,
            "error_code": outcome.error_code,
            "error_detail": outcome.error_detail,
            "category": outcome.category,
            "unscreened": outcome.unscreened,
            "seconds": sum(delivery.seconds for delivery in deliveries),
            "warnings": sorted({each for delivery in deliveries for each in delivery.warnings}) + outcome.warnings,
            "receipt": json.dumps(receipt(job, outcome.kept)),
            "model_version": (job.model_digest or job.model_revision)[:12],
        }
        drawn = job.work * steps_run / (job.planned_steps * job.n)
        with platform_role(), atomic():
            found = rows(_DELIVER, ending)
            if not found:
                heir = self._heir(job)
                if heir is None:
                    return False
                return self._deliver(heir, outcomes.judged_for(heir, deliveries), status=status, begun=begun)
            erased = found[0][0]  # while it was drawn
            if nobodys := deliveries if erased else outcome.dropped:
                _doom(job, nobodys)
            held: list[tuple[Delivery, UUID]] = []
            if not erased:
                held = self._adopt(job, outcome)
                outcome.note_verdicts()
            complete = outcome.complete and len(deliveries) == job.n and not erased
            if complete:
                cache.record(job.tenant_id, job.generation_id)
            endings.follow(
                _ending(
                    job, status=outcome.status, drawn=drawn, credits=credits_, images=len(outcome.kept),
                    released=len(outcome.released), complete=complete, seconds=found[0][1],
                    error_code=outcome.error_code,
                )
            )  # fmt: skip
            for delivery, image_id in held:  # last: that locks the audit log, which staff take after the wallet
                outcome.hand_to_staff(delivery, image_id=image_id)
        return True

    def _adopt(self, job: Job, outcome: Outcome) -> list[tuple[Delivery, UUID]]:
        """Returns those that are held, with the ids of their rows."""
        held = []
        for delivery in outcome.kept:
            image = self._image(job, delivery) | {"released": delivery in outcome.released}
            changed(_ADOPT, image)
            if delivery in outcome.held:
                held.append((delivery, image["id"]))
        changed(
            "DELETE FROM generation_objectintent WHERE tenant_id = %s AND object_key = ANY(%s)",
            [job.tenant_id, [delivery.object_key for delivery in outcome.kept]],
        )
        return held

    def _lease_next(self, turn: Turn, pool: str, shut: Shut) -> Job | None:
        lease_id, tenant_id, pool_id = uuid4(), turn.tenant_id, turn.pool_id
        found = rows(
            _LEASE_NEXT,
            {"lease": lease_id, "seconds": settings.LEASE_SECONDS, "tenant": tenant_id, "pool": pool_id,
             "shut": list(shut.models), "probes": list(shut.probes)},
        )  # fmt: skip
        if not found:
            return None
        generation_id, work = found[0][0], found[0][19]
        turns.take(turn, work=work)
        try:
            return _job(found[0], lease_id=lease_id, tenant_id=tenant_id, pool_id=pool_id, pool=pool)
        except CryptoError:
            # One row that cannot be read must not stand in the way of everybody's claims.
            log.exception("source.prompt_unreadable", generation=str(generation_id))
            detail = "The stored prompt could not be opened."
            changed(
                _END,
                {"id": generation_id, "lease": lease_id, "status": "failed", "credits": 0,
                 "error_code": "internal_error", "error_detail": detail},
            )  # fmt: skip
            endings.follow(
                Ending(
                    generation_id=generation_id, tenant_id=tenant_id, pool_id=pool_id, pool=pool, status="failed",
                    work=work, was_running=True, error_code="internal_error",
                )
            )  # fmt: skip
            return None

    @staticmethod
    def _image(job: Job, delivery: Delivery) -> dict[str, Any]:
        reading = delivery.judgment.reading
        return {
            "id": new_id(),
            "tenant": job.tenant_id,
            "generation": job.generation_id,
            "index": delivery.index,
            "seed": delivery.seed,
            "width": delivery.width,
            "height": delivery.height,
            "content_type": delivery.content_type,
            "bytes": delivery.bytes,
            "sha256": delivery.sha256,
            "object_key": delivery.object_key,
            "key_sealed": sealed_images.closed(job.tenant_id, delivery.object_key, delivery.seal),
            "steps_run": delivery.steps_run,
            "quality_score": delivery.quality_score,
            "reading": None if reading is None else json.dumps(reading),
        }


def _doom(job: Job, deliveries: Sequence[Delivery]) -> None:
    """Of a job that may have an heir: its objects are named after whom it began with."""
    changed(_DOOM, [job.tenant_id, [delivery.object_key for delivery in deliveries]])


def _object_key(job: Job, index: int, extension: str) -> str:
    return f"t/{job.tenant_id}/g/{job.generation_id}/{job.lease_id}-{index}.{extension}"


def _ending(job: Job, *, status: str, **fields: Any) -> Ending:
    return Ending(
        generation_id=job.generation_id, tenant_id=job.tenant_id, pool_id=job.pool_id, pool=job.pool, status=status,
        work=job.work, was_running=True, **fields,
    )  # fmt: skip


def receipt(job: Job, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """What one needs to draw it again, beside what was asked: these files, these versions, so many steps."""
    return {
        "model": job.model_name,
        "model_digest": job.model_digest or job.model_revision,
        "sampler": job.sampler,
        "seeds": [delivery.seed for delivery in deliveries],
        "steps_run": [delivery.steps_run for delivery in deliveries],
        **(deliveries[0].engine if deliveries else {}),
    }


def _job(row: tuple[Any, ...], *, lease_id: UUID, tenant_id: UUID, pool_id: UUID, pool: str) -> Job:
    (id_, request_id, attempts, prompt_sealed, negative_sealed, steps, width, height, cfg_scale, sampler, seed, n,
     format_, init_image, mask, strength, clip_skip, quality_target, min_steps, work, quote, model_name, source,
     revision, digest, native_size, prefix, model_id, model_label, data_key, version, waited, key_id, screened,
     policy) = row  # fmt: skip
    key: DataKey = open_data_key(data_key, version)
    prompt, negative_prompt = open_prompts(prompt_sealed, negative_sealed, key=key, generation_id=id_)
    return Job(
        lease_id=lease_id, generation_id=id_, tenant_id=tenant_id, pool_id=pool_id, pool=pool, request_id=request_id,
        attempts=attempts, prompt=prompt, negative_prompt=negative_prompt, steps=steps, width=width, height=height,
        cfg_scale=cfg_scale, sampler=sampler, seed=seed, n=n, format=format_,
        init_image=_given(init_image, key), mask=_given(mask, key),
        strength=strength, clip_skip=clip_skip, quality_target=quality_target, min_steps=min_steps, work=work,
        quote=quote, model_name=model_name, model_source=source, model_revision=revision, model_digest=digest,
        model_native_size=native_size, model_prompt_prefix=prefix, model_id=model_id, model_label=model_label,
        waited_seconds=waited, key_id=key_id, screened=screened,
        policy=data_policy.read(policy),
    )  # fmt: skip


def _given(found: list[bytes] | None, key: DataKey) -> GivenObject | None:
    if found is None:
        return None
    object_key = found[0].decode()
    return GivenObject(object_key, sealed_images.unpacked(object_key, found[1], key))
