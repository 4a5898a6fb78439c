"""Equal requests draw once: what a leader drew is handed to its followers, each at the price of a cached answer.

Each follower is served in a short transaction of its own after the leader's. Its own key's policy is applied to what
was seen in the pictures. Canceling a leader that is being drawn only detaches it: the oldest follower takes over its
lease, and nothing is drawn anew. `inflight` says who leads.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final, Literal
from uuid import UUID

import structlog
from django.db import IntegrityError

from billing import plans, pricing
from billing.ledger import AlreadySettled
from easel import metrics
from easel.database import atomic, changed, platform_role, rows
from generation import copies, endings, events, inflight
from generation.endings import Ending

log = structlog.get_logger(__name__)

Verdict = Literal["allow", "review", "block"]

# What was asked for where another model drew. Equal requests may have come to their model by different ways, so each
# goes by its own row.
_INSTEAD_OF: Final = """CASE WHEN {row}.model_id = leader.model_id THEN {row}.fallback_from
    ELSE coalesce(nullif({row}.fallback_from, ''), (SELECT name FROM generation_model WHERE id = {row}.model_id)) END"""

# The leader may have been sent to a fallback while it waited: it is that model's drawing, place, price and name that
# are taken over, and no fingerprint where that one lost its own.
_TAKE_OVER: Final = f"""
UPDATE generation_generation heir SET status = 'running', draws_with = NULL, lease_id = leader.lease_id,
    lease_expires_at = leader.lease_expires_at, attempts = leader.attempts, started_at = leader.started_at,
    model_id = leader.model_id, pool_id = leader.pool_id, fallback_from = {_INSTEAD_OF.format(row="heir")},
    work = leader.work, quote = least(heir.quote, leader.quote),
    fingerprint = CASE WHEN leader.fingerprint IS NOT NULL THEN heir.fingerprint END,
    seedless = CASE WHEN leader.seedless IS NOT NULL THEN heir.seedless END
FROM generation_generation leader WHERE heir.tenant_id = %(tenant)s AND heir.id = %(heir)s AND leader.id = %(leader)s
"""  # noqa: S608  no value is put in

_LET_GO: Final = """
UPDATE generation_generation SET status = 'canceled', credits = 0, finished_at = now(), lease_id = NULL,
    lease_expires_at = NULL WHERE tenant_id = %(tenant)s AND id = %(leader)s RETURNING pool_id, work
"""

# Not of a leader that is being stopped already: its worker would stop the heir's drawing.
_DRAWN_WITH_FOLLOWERS: Final = """
SELECT g.id FROM generation_generation g
WHERE g.tenant_id = %(tenant)s AND g.id = ANY(%(ids)s) AND g.status = 'running' AND g.cancel_requested_at IS NULL
    AND EXISTS (
    SELECT 1 FROM generation_generation f
    WHERE f.tenant_id = %(tenant)s AND f.draws_with = g.id AND f.status = 'queued')
ORDER BY g.id
"""

# Its share is of the lower price, where the leader was drawn by a fallback.
_LOCK_FOLLOWER: Final = """
SELECT g.key_id, least(g.quote, leader.quote), g.pool_id, pool.name, g.work FROM generation_generation g
JOIN generation_pool pool ON pool.id = g.pool_id
LEFT JOIN generation_generation leader ON leader.tenant_id = g.tenant_id AND leader.id = g.draws_with
WHERE g.tenant_id = %(tenant)s AND g.id = %(id)s AND g.status = 'queued' AND g.draws_with = %(leader)s
FOR NO KEY UPDATE OF g
"""

_END: Final = f"""
UPDATE generation_generation g SET
    status = %(status)s, draws_with = NULL, cached_from = %(leader)s, finished_at = now(),
    model_id = coalesce((SELECT model_id FROM generation_generation WHERE id = %(leader)s), model_id),
    fallback_from = coalesce((
        SELECT {_INSTEAD_OF.format(row="g")} FROM generation_generation leader WHERE leader.id = %(leader)s
    ), fallback_from),
    credits = %(credits)s, error_code = %(code)s, error_detail = %(detail)s, steps_run = %(steps_run)s,
    model_version = %(version)s, warnings = %(warnings)s, receipt = %(receipt)s,
    timings = jsonb_build_object('queued_seconds', round(extract(epoch FROM now() - created_at)::numeric, 3),
        'drawing_seconds', 0, 'total_seconds', round(extract(epoch FROM now() - created_at)::numeric, 3))
WHERE tenant_id = %(tenant)s AND id = %(id)s
"""  # noqa: S608  no value is put in

_LEFT: Final = """
SELECT f.tenant_id, f.id, f.draws_with, leader.status FROM generation_generation f
LEFT JOIN generation_generation leader ON leader.id = f.draws_with
WHERE f.draws_with IS NOT NULL AND f.status = 'queued'
    AND (leader.id IS NULL OR leader.status NOT IN ('queued', 'running'))
ORDER BY f.id LIMIT %s
"""


# Whether the policy of the key that asks lets pictures through that were judged under another key's.
Judge = Callable[[UUID, UUID | None, copies.Original], Verdict]
_judges: list[Judge] = []


def on_reuse(judge: Judge) -> Judge:
    """Register how stored scores are judged: (tenant, key that asks, what was drawn) → verdict."""
    if judge not in _judges:
        _judges.append(judge)
    return judge


def judged(tenant_id: UUID, key_id: UUID | None, original: copies.Original) -> Verdict:
    """The strictest of all judges."""
    verdicts = {judge(tenant_id, key_id, original) for judge in _judges}
    return "block" if "block" in verdicts else "review" if "review" in verdicts else "allow"


def detach(tenant_id: UUID, generation_ids: Sequence[UUID]) -> list[UUID]:
    """Of these, the leaders that are being drawn for others too: each ends as canceled, for nothing, and its oldest
    follower takes its place at the worker. Part of the transaction that cancels, which holds their rows."""
    inflight.hold(tenant_id, generation_ids)
    drawn = rows(_DRAWN_WITH_FOLLOWERS, {"tenant": tenant_id, "ids": list(generation_ids)})
    return [leader for (leader,) in drawn if _hand_over(tenant_id, leader)]


def serve(tenant_id: UUID, leader_id: UUID, follower_id: UUID) -> bool:
    """Give a completed leader's pictures to one follower, in a transaction of its own. False where nothing was to be
    done any more. Needs the platform role."""
    with atomic():
        found = rows(_LOCK_FOLLOWER, {"tenant": tenant_id, "id": follower_id, "leader": leader_id})
        if not found:
            return False
        key_id, quote, pool_id, pool, work = found[0]
        ending = Ending(
            generation_id=follower_id, tenant_id=tenant_id, pool_id=pool_id, pool=pool, status="completed", work=work,
            was_running=False, was_queued=False,
        )  # fmt: skip
        original = copies.take(tenant_id, leader_id, standing=False)
        verdict = judged(tenant_id, key_id, original) if original is not None else "review"
        if original is not None and verdict == "allow":
            _deliver(ending, original, quote=quote)
        elif verdict == "block":
            _refuse(ending, leader_id)
        else:  # its own screening decides, or the pictures are gone again: it is drawn for itself
            _draw_alone(tenant_id, follower_id)
    return True


def serve_all(tenant_id: UUID, leader_id: UUID, followers: Sequence[UUID]) -> None:
    """Right after a leader completed. Whom this process cannot serve, the clock serves."""
    with platform_role():
        for follower_id in followers:
            try:
                serve(tenant_id, leader_id, follower_id)
            except Exception:  # the leader has ended well, and the clock serves whom we could not
                log.exception("sharing.not_served", generation=str(follower_id))


def serve_left() -> int:
    """Followers whose leader has ended without them."""
    left = rows(_LEFT, [200])
    for tenant_id, follower_id, leader_id, status in left:
        try:
            if status == "completed":
                serve(tenant_id, leader_id, follower_id)
            else:
                with atomic():
                    _draw_alone(tenant_id, follower_id)
        except (IntegrityError, AlreadySettled):  # whose hold is gone, or whose flow counts wrongly, keeps no other
            log.exception("sharing.not_served", generation=str(follower_id))
    return len(left)


def _deliver(ending: Ending, original: copies.Original, *, quote: int) -> None:
    percent = plans.limits_of(ending.tenant_id).cached_price_percent
    credits_ = pricing.cached_credits(quote, percent=percent)
    _end(ending, original.generation_id, original=original, credits_=credits_)
    images = copies.give(original, tenant_id=ending.tenant_id, generation_id=ending.generation_id)
    endings.follow(ending.priced(credits_, images=len(images)))
    metrics.CACHE_ANSWERS.labels("shared").inc()


def _refuse(ending: Ending, leader_id: UUID) -> None:
    refused = ending.otherwise("rejected", error_code="content_rejected")
    _end(refused, leader_id, detail="What was drawn is not allowed to this API key.")
    endings.follow(refused)


def _end(
    ending: Ending, leader_id: UUID, *, original: copies.Original | None = None, credits_: int = 0, detail: str = ""
) -> None:
    parameters = {
        "tenant": ending.tenant_id,
        "id": ending.generation_id,
        "leader": leader_id if original else None,
        "status": ending.status,
        "credits": credits_,
        "code": ending.error_code,
        "detail": detail,
        "steps_run": original.steps_run if original else 0,
        "version": original.model_version if original else "",
        "warnings": original.warnings if original else [],
        "receipt": json.dumps(original.receipt if original else {}),
    }
    changed(_END, parameters)


def _draw_alone(tenant_id: UUID, generation_id: UUID) -> None:
    heir = inflight.stand_alone(tenant_id, generation_id)
    if heir is not None:
        heir.enqueue()


def _hand_over(tenant_id: UUID, leader_id: UUID) -> bool:
    fingerprints = inflight.land(tenant_id, leader_id)
    followers = inflight.waiting(tenant_id, leader_id)
    if not followers:  # all of them are ending at this moment
        return False
    oldest, *others = followers
    changed(_TAKE_OVER, {"tenant": tenant_id, "heir": oldest, "leader": leader_id})
    ((pool_id, work),) = rows(_LET_GO, {"tenant": tenant_id, "leader": leader_id})
    inflight.lead_on(tenant_id, oldest, others, fingerprints)
    endings.follow(
        Ending(
            generation_id=leader_id, tenant_id=tenant_id, pool_id=pool_id, pool="", status="canceled", work=work,
            was_running=False, was_queued=False,
        )
    )  # fmt: skip
    events.status_changed(tenant_id, oldest, "running")
    return True


inflight.on_completed(serve_all)
