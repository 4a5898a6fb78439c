"""What waits for a person: opened by the layers and by customers, claimed by one moderator at a time, and decided.

`moderation.applying` puts decisions into effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.core.cache import cache
from django.utils.translation import gettext_lazy as _
from prometheus_client import Counter
from redis.exceptions import RedisError

from easel.crypto import DataKey, open_data_key, open_sealed, seal
from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from moderation.categories import CATEGORIES
from moderation.findings import Finding
from moderation.images import telling
from moderation.models import Case
from tenants import audit

log = structlog.get_logger(__name__)

CLAIM_SECONDS: Final = 300
USUAL_WAIT: Final = 3600  # seconds
_WAIT: Final = "moderation:wait"
REASONS: Final = {
    "policy": _("Against the policy"),
    "harmless": _("Harmless: a false alarm"),
    "context": _("Allowed in its context"),
    "art-medicine-news": _("Art, medicine or news"),
    "identity": _("Shows a real person"),
    "rights": _("Somebody's rights"),
    "unsure": _("In doubt"),
}
OPENED = Counter("easel_moderation_cases_opened", "Cases, by kind.", ["kind"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A new case. `finding` says why, for those that a layer opened."""

    tenant_id: UUID
    generation_id: UUID
    kind: str
    image_id: UUID | None = None
    image_index: int | None = None
    finding: Finding | None = None
    phash: str = ""
    text_sealed: bytes = b""


_OPEN: Final = """
INSERT INTO moderation_case (id, tenant_id, kind, status, generation_id, image_id, image_index, category, layer, score,
    rule, phash, severity, escalated, text_sealed, notes, not_for, claimed_by, decision, reason, decided_by)
VALUES (%s, %s, %s, 'open', %s, %s, %s, %s, %s, %s, %s, %s, %s, false, %s, '[]', '', '', '', '', '')
ON CONFLICT DO NOTHING
"""


def open_case(opening: Opening, *, case_id: UUID | None = None) -> bool:
    """In the caller's transaction. False where this appeal or this held image has its case already."""
    found = opening.finding
    category = found.category if found else ""
    made = changed(
        _OPEN,
        [case_id or new_id(), opening.tenant_id, opening.kind, opening.generation_id, opening.image_id,
         opening.image_index, category, found.layer if found else "", found.score if found else 0.0,
         (found.rule if found else "")[:120], opening.phash, severity_of(category), opening.text_sealed],
    )  # fmt: skip
    if made:
        OPENED.labels(opening.kind).inc()
        audit.record(
            f"moderation.{opening.kind}",
            tenant_id=opening.tenant_id,
            object_kind="generation",
            object_id=opening.generation_id,
            details=told_of(opening.kind, category),
        )
    return bool(made)


def severity_of(category: str) -> int:
    return CATEGORIES[category].severity if category in CATEGORIES else 2


def told_of(kind: str, category: str) -> dict[str, str]:
    """What the tenant's audit log says a case is about. Of a complaint nothing: its reason is the complainant's."""
    return {"category": category} if kind in {Case.Kind.HELD, Case.Kind.APPEAL} else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A moderator's filter; empty fields ask nothing."""

    layer: str = ""
    category: str = ""
    kind: str = ""
    tenant: str = ""
    least_score: float = 0.0
    older_than_minutes: int = 0
    escalated: bool = False


_WANTED: Final = """
    (%(layer)s = '' OR layer = %(layer)s) AND (%(category)s = '' OR category = %(category)s)
    AND (%(kind)s = '' OR kind = %(kind)s) AND (%(tenant)s = '' OR tenant_id::text = %(tenant)s)
    AND score >= %(least_score)s AND created_at <= now() - make_interval(mins => %(older)s)
    AND (escalated OR NOT %(escalated)s)
"""
# SKIP LOCKED: two moderators who ask at the same moment get different cases, and neither waits.
_CLAIM: Final = f"""
UPDATE moderation_case SET claimed_by = %(who)s, claimed_until = now() + make_interval(secs => %(seconds)s)
WHERE id IN (
    SELECT id FROM moderation_case
    WHERE status = 'open' AND not_for <> %(who)s
        AND (claimed_until IS NULL OR claimed_until < now() OR claimed_by = %(who)s) AND {_WANTED}
    ORDER BY (claimed_by = %(who)s AND claimed_until >= now()) DESC, escalated DESC, severity DESC, created_at, id
    LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""  # noqa: S608  no value is put in
_WAITING: Final = f"""
SELECT count(*) FROM moderation_case WHERE status = 'open' AND not_for <> %(who)s AND {_WANTED}
"""  # noqa: S608  no value is put in


def claim(who: str, wanted: Wanted, *, limit: int) -> list[Case]:
    """Up to `limit` cases that are this moderator's alone for CLAIM_SECONDS, those already theirs first."""
    parameters = {"who": who, "seconds": CLAIM_SECONDS, "limit": limit, **_parameters(wanted)}
    claimed = [case_id for (case_id,) in rows(_CLAIM, parameters)]
    found = Case.objects.filter(id__in=claimed).select_related("tenant")
    return list(found.order_by("-escalated", "-severity", "created_at", "id"))


def waiting(who: str, wanted: Wanted) -> int:
    """How many open cases that this moderator may decide the filter lets through, whoever holds them."""
    return int(rows(_WAITING, {"who": who, **_parameters(wanted)})[0][0])


def _parameters(wanted: Wanted) -> dict[str, Any]:
    return {
        "layer": wanted.layer, "category": wanted.category, "kind": wanted.kind, "tenant": wanted.tenant,
        "least_score": wanted.least_score, "older": wanted.older_than_minutes, "escalated": wanted.escalated,
    }  # fmt: skip


def renew(case_ids: Sequence[UUID], *, who: str) -> list[UUID]:
    """Those of the cases that are still this moderator's, for CLAIM_SECONDS from now."""
    sql = (
        "UPDATE moderation_case SET claimed_until = now() + make_interval(secs => %s) "
        "WHERE id = ANY(%s) AND status = 'open' AND claimed_by = %s RETURNING id"
    )
    return [case_id for (case_id,) in rows(sql, [CLAIM_SECONDS, list(case_ids), who])]


def holds(case: Case, *, who: str) -> bool:
    return case.claimed_by == who and case.claimed_until is not None and case.claimed_until > datetime.now(UTC)


def release_claims(who: str) -> int:
    """Give back what a moderator has not decided."""
    return changed(
        "UPDATE moderation_case SET claimed_by = '', claimed_until = NULL WHERE status = 'open' AND claimed_by = %s",
        [who],
    )


_DECIDE: Final = """
UPDATE moderation_case SET status = 'decided', decision = %(decision)s, reason = %(reason)s, decided_by = %(who)s,
    decided_at = now()
WHERE id = %(id)s AND status = 'open' AND not_for <> %(who)s AND claimed_by = %(who)s RETURNING 1
"""
_ALIKE: Final = """
UPDATE moderation_case SET status = 'decided', decision = %(decision)s, reason = %(reason)s, decided_by = %(who)s,
    decided_at = now()
WHERE id IN (
    SELECT id FROM moderation_case WHERE status = 'open' AND phash = %(phash)s AND id <> %(id)s AND kind = 'held'
        AND not_for <> %(who)s AND (claimed_until IS NULL OR claimed_until < now() OR claimed_by = %(who)s)
    FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""


def decide(case_id: UUID, *, who: str, approved: bool, reason: str, alike: bool = False) -> list[UUID]:
    """Decide a claimed case, with `alike` also every open one of an equal picture. The ids that were decided; empty
    where the case is not this moderator's (any more)."""
    parameters: dict[str, Any] = {
        "id": case_id, "who": who, "decision": "approve" if approved else "reject", "reason": reason,
    }  # fmt: skip
    with atomic():
        if not rows(_DECIDE, parameters):
            return []
        decided = [case_id]
        ((phash,),) = rows("SELECT phash FROM moderation_case WHERE id = %s", [case_id])
        if alike and telling(phash):
            decided += [other for (other,) in rows(_ALIKE, {**parameters, "phash": phash})]
    return decided


_UNDO: Final = """
UPDATE moderation_case SET status = 'open', decision = '', reason = '', decided_by = '', decided_at = NULL,
    claimed_by = %(who)s, claimed_until = now() + make_interval(secs => %(seconds)s)
WHERE id = ANY(%(ids)s) AND status = 'decided' AND decided_by = %(who)s RETURNING id, tenant_id
"""
_ESCALATE: Final = """
UPDATE moderation_case SET escalated = true, not_for = %s, claimed_by = '', claimed_until = NULL
WHERE id = %s AND status = 'open' AND kind <> 'second' AND claimed_by = %s RETURNING id, tenant_id
"""
_NOTE: Final = """
UPDATE moderation_case SET notes = notes || jsonb_build_array(jsonb_build_object('by', %s::text, 'at',
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), 'text', %s::text))
WHERE id = %s RETURNING id, tenant_id
"""


def undo(case_ids: Sequence[UUID], *, who: str) -> list[UUID]:
    """Take decisions back that are not applied yet; the cases are this moderator's again."""
    return _done("taken_back", _UNDO, {"who": who, "seconds": CLAIM_SECONDS, "ids": list(case_ids)}, who=who)


def escalate(case_id: UUID, *, who: str) -> bool:
    """For somebody else, before all others. A second opinion is not: it is somebody else's already."""
    return bool(_done("escalated", _ESCALATE, [who, case_id, who], who=who))


def note(case_id: UUID, text: str, *, who: str) -> bool:
    return bool(_done("noted", _NOTE, [who, text[:1000], case_id], who=who))


def _done(action: str, sql: str, parameters: list[Any] | dict[str, Any], *, who: str) -> list[UUID]:
    """The cases that a statement changed, with its deed on their tenants' record."""
    actor = audit.Actor(kind="staff", name=who)
    with atomic():
        touched = rows(sql, parameters)
        for case_id, tenant_id in touched:
            audit.record(
                f"moderation.{action}", tenant_id=tenant_id, object_kind="case", object_id=case_id, actor=actor
            )
    return [case_id for case_id, _tenant in touched]


def expected_wait() -> int:
    """How long a held image waits for its decision, as the clock found it lately (`note_wait`); an hour where nobody
    knows. Asks the cache alone: the customer web sees no other tenant's cases."""
    try:
        return int(cache.get(_WAIT) or USUAL_WAIT)
    except (RedisError, OSError) as error:
        log.warning("cases.wait_unread", error=str(error))
        return USUAL_WAIT


def note_wait() -> None:
    try:
        cache.set(_WAIT, expected_seconds(), timeout=300)
    except (RedisError, OSError) as error:
        log.warning("cases.wait_unnoted", error=str(error))


def expected_seconds() -> int:
    """How long a case waits for its decision lately: the median of the last hundred, an hour without any."""
    found = rows(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - created_at)) FROM ("
        "SELECT decided_at, created_at FROM moderation_case WHERE decided_at IS NOT NULL "
        "ORDER BY decided_at DESC LIMIT 100) AS lately"
    )
    return max(60, int(found[0][0] or USUAL_WAIT))


def seal_text(text: str, *, case_id: UUID, data_key: DataKey) -> bytes:
    return seal(text.encode("utf-8", "replace"), key=data_key, context=b"moderation.case.text:" + case_id.bytes)


def text_of(case: Case) -> str:
    """What was appealed or complained, in clear."""
    if not bytes(case.text_sealed):
        return ""
    key = open_data_key(case.tenant.data_key, case.tenant.data_key_version)
    return open_sealed(case.text_sealed, key=key, context=b"moderation.case.text:" + case.id.bytes).decode()
