"""Decisions put into effect, once they can no longer be taken back: what is decided on is told, equal pictures are
remembered, and some cases go to a second moderator.

What a decision does to images and money is the business of the app above (`moderation.subjects`).
"""

from random import SystemRandom
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from prometheus_client import Counter, Histogram

from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from moderation import cases, staff
from moderation.categories import MINORS
from moderation.images import signed, telling
from moderation.models import Case
from moderation.subjects import subjects
from tenants import audit

UNDO_SECONDS: Final = 10
DECIDED = Counter("easel_moderation_cases_decided", "Applied decisions, by kind.", ["kind", "decision"])
FAILED = Counter("easel_moderation_decisions_failed", "Attempts to apply a decision that ended in an error.")
AGE = Histogram(
    "easel_moderation_decision_seconds", "From opening a case to deciding it.",
    buckets=(10, 60, 300, 900, 3600, 14400, 86400, 259200),
)  # fmt: skip
log = structlog.get_logger(__name__)
_chance = SystemRandom()


def apply_due(*, seconds: float = UNDO_SECONDS, limit: int = 200) -> int:
    """Apply what was decided longer ago than it can be undone. Each in a transaction of its own: one that cannot be
    applied stays as it is, is told, and keeps no other waiting."""
    due = rows(
        "SELECT id FROM moderation_case WHERE status = 'decided' AND decided_at <= now() - make_interval(secs => %s) "
        "ORDER BY decided_at LIMIT %s",
        [seconds, limit],
    )
    return sum(_apply_if_possible(case_id) for (case_id,) in due)


def _apply_if_possible(case_id: UUID) -> int:
    try:
        return _apply(case_id)
    except (OperationalError, InterfaceError):
        raise  # the database is away, for all of them
    except Exception:
        FAILED.inc()
        log.exception("moderation.decision_not_applied", case=str(case_id))
        return 0


def _apply(case_id: UUID) -> int:
    with atomic():
        if not changed("UPDATE moderation_case SET status = 'applied' WHERE id = %s AND status = 'decided'", [case_id]):
            return 0  # another clock was first, or it was undone
        case = Case.objects.get(id=case_id)
        approved = case.decision == "approve"
        if case.kind != Case.Kind.SECOND:
            subjects().decided(case, approved=approved)
            _remember(case, approved=approved)
            _sample(case)
        audit.record(
            "moderation.decided",
            tenant_id=case.tenant_id,
            object_kind="case",
            object_id=case.id,
            details={
                "kind": case.kind,
                "decision": case.decision,
                "reason": case.reason,
                **cases.told_of(case.kind, case.category),
            },
            actor=audit.Actor(kind="staff", name=case.decided_by),
        )
    DECIDED.labels(case.kind, case.decision).inc()
    if case.decided_at is not None:
        AGE.observe((case.decided_at - case.created_at).total_seconds())
    return 1


def _remember(case: Case, *, approved: bool) -> None:
    """A rejected picture's like is not reviewed twice; one that is approved on appeal no longer stands for others."""
    if approved and case.kind != Case.Kind.COMPLAINT:
        changed("DELETE FROM moderation_rejectedhash WHERE phash = ANY(%s)", [_hashes(case)])
    elif not approved and telling(case.phash):
        changed(
            "INSERT INTO moderation_rejectedhash (id, phash, category) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [new_id(), signed(case.phash), case.category],
        )


def _hashes(case: Case) -> list[int]:
    """Of what is shown by approving it: an appeal brings all back that was rejected of its generation."""
    known = [case.phash]
    if case.kind == Case.Kind.APPEAL:
        held = Case.objects.filter(tenant_id=case.tenant_id, generation_id=case.generation_id, kind=Case.Kind.HELD)
        known += held.filter(decision="reject").values_list("phash", flat=True)
    return [signed(phash) for phash in known if telling(phash)]


def _sample(case: Case) -> None:
    """Some decided pictures are shown to somebody else, who sees what the first moderator saw and does not know of that
    decision. Of appeals and complaints a part is gone by now: the picture that was taken down, the words."""
    if case.kind != Case.Kind.HELD or case.category == MINORS:
        return
    if _chance.random() * 100 >= settings.SECOND_OPINION_PERCENT or not staff.has_colleagues(case.decided_by):
        return
    Case.objects.create(
        tenant_id=case.tenant_id, kind=Case.Kind.SECOND, generation_id=case.generation_id, image_id=case.image_id,
        image_index=case.image_index, category=case.category, layer=case.layer, score=case.score, rule=case.rule,
        phash="", severity=0, opinion_on=case.id, not_for=case.decided_by,
    )  # fmt: skip
