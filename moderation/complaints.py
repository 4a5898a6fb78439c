"""Complaints about pictures that were delivered: each gets a receipt, those about one picture share one case.

The customer web files them in the tenant's scope; the clock tells whoever waits what became of them. Nothing that is
told says what was complained about.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from easel import metrics
from easel.crypto import CryptoError, DataKey, open_data_key, open_sealed, seal
from easel.database import atomic, changed, on_commit, rows
from easel.identifiers import new_id
from moderation import cases
from moderation.cases import Opening
from moderation.categories import CATEGORIES, MINORS
from moderation.findings import Finding
from moderation.models import Case, Complaint
from moderation.screening.client import ImageRefused, ScreeningDown, screen_image
from moderation.subjects import subjects
from tenants import audit, webhooks

log = structlog.get_logger(__name__)

LONGEST: Final = 2_000  # characters
SHOWN: Final = 20  # complaints on a case's card
BATCH: Final = 50
NO_HASH: Final = "0" * 16  # says nothing of the picture (`images.telling`)
LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # those that are not taken for one another
REASONS: Final = {
    "sexual/minors": _("A child is sexualized"),
    "sexual": _("Sexual content"),
    "violence": _("Violence"),
    "hate": _("Hatred"),
    "self-harm": _("Self-harm"),
    "illegal": _("Something illegal"),
    "private-persons": _("It shows me or somebody I know"),
    "rights": _("It infringes my rights"),
    "spam": _("Fraud or misleading"),
    "other": _("Something else"),
}

_FILE: Final = """
INSERT INTO moderation_complaint (id, tenant_id, image_id, generation_id, case_id, reason, text_sealed, receipt, source,
    outcome)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '')
"""
_OPEN_CASE: Final = """
SELECT id FROM moderation_case
WHERE tenant_id = %s AND image_id = %s AND kind = 'complaint' AND status IN ('open', 'decided')
"""
_DECIDED: Final = """
SELECT c.id, m.decision, c.created_at > m.decided_at FROM moderation_complaint c
JOIN moderation_case m ON m.tenant_id = c.tenant_id AND m.id = c.case_id AND m.status = 'applied'
WHERE c.resolved_at IS NULL ORDER BY c.id LIMIT %s
"""
_RESOLVE: Final = """
UPDATE moderation_complaint SET resolved_at = now(), outcome = %s WHERE id = %s AND resolved_at IS NULL
RETURNING tenant_id, image_id, generation_id, receipt, created_at, resolved_at
"""
# Of two that are equally severe, the one about minors.
_WEIGH: Final = """
WITH worst AS (
    SELECT DISTINCT ON (c.tenant_id, c.case_id) c.tenant_id, c.case_id, k.category, k.severity
    FROM moderation_complaint c
    JOIN unnest(%(reasons)s::text[], %(categories)s::text[], %(severities)s::int[]) AS k(reason, category, severity)
        ON k.reason = c.reason
    WHERE c.resolved_at IS NULL
    ORDER BY c.tenant_id, c.case_id, k.severity DESC, (k.category = %(minors)s) DESC, c.id
)
UPDATE moderation_case m SET category = worst.category, severity = worst.severity FROM worst
WHERE m.tenant_id = worst.tenant_id AND m.id = worst.case_id AND m.kind = 'complaint' AND m.status = 'open'
    AND (worst.severity > m.severity OR (worst.category = %(minors)s AND m.category <> worst.category))
"""
_HASHLESS: Final = """
SELECT id FROM moderation_case WHERE kind = 'complaint' AND status IN ('open', 'decided') AND phash = ''
ORDER BY created_at LIMIT %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    tenant_id: UUID
    generation_id: UUID
    image_id: UUID
    image_index: int
    reason: str
    text: str
    source: str  # page · api


def file(filing: Filing, *, data_key: DataKey) -> Complaint:
    """In the caller's transaction, in the tenant's scope. The first one about a picture opens its case."""
    complaint_id, receipt = new_id(), new_receipt()
    case_id = _case_for(filing)
    sealed = seal(filing.text[:LONGEST].encode("utf-8", "replace"), key=data_key, context=_context(complaint_id))
    changed(
        _FILE,
        [complaint_id, filing.tenant_id, filing.image_id, filing.generation_id, case_id, filing.reason, sealed, receipt,
         filing.source],
    )  # fmt: skip
    audit.record(
        "moderation.complained", tenant_id=filing.tenant_id, object_kind="image", object_id=filing.image_id,
        details={"receipt": receipt, "source": filing.source},
    )  # fmt: skip
    filed: Complaint = Complaint.objects.get(id=complaint_id)
    return filed


def new_receipt() -> str:
    """A number that people can read to each other: `7KQM-2XPD-H9TB`, 58 bits."""
    drawn = "".join(secrets.choice(LETTERS) for _ in range(12))
    return f"{drawn[:4]}-{drawn[4:8]}-{drawn[8:]}"


def said_of(case: Case) -> tuple[list[tuple[str, str]], int]:
    """Reason and words of the complaints behind a case, the worst first and of these the newest; and how many more
    there are."""
    severity = [models.When(reason=reason, then=cases.severity_of(_category(reason))) for reason in REASONS]
    behind = Complaint.objects.filter(tenant_id=case.tenant_id, case_id=case.id)
    found = list(behind.order_by(models.Case(*severity, default=0).desc(), "-id")[:SHOWN])
    said = [(str(REASONS.get(each.reason, each.reason)), _words(each, case)) for each in found]
    return said, behind.count() - len(found)


def weigh_open_cases() -> int:
    """A case is as severe as the worst that was said of its picture, and of that category. Needs the platform role."""
    categories = [_category(reason) for reason in REASONS]
    severities = [cases.severity_of(category) for category in categories]
    return changed(
        _WEIGH, {"reasons": list(REASONS), "categories": categories, "severities": severities, "minors": MINORS}
    )


def resolve_decided() -> int:
    """Whoever complained hears what became of it, once staff's decision is applied. What came after they had decided
    that the picture stays, they have not read: it opens a case of its own. Needs the platform role."""
    return sum(
        _ask_again(complaint_id) if unread and decision == "approve" else _resolve(complaint_id, decision)
        for complaint_id, decision, unread in rows(_DECIDED, [BATCH])
    )


def hash_pictures() -> int:
    """So that a picture that is taken down is known again. Asks the screening process: not inside a transaction."""
    count = 0
    for case in Case.objects.filter(id__in=[case_id for (case_id,) in rows(_HASHLESS, [BATCH])]):
        try:
            data = subjects().picture(case)
            phash = screen_image(data).phash if data else NO_HASH
        except (ImageRefused, CryptoError):
            log.warning("complaints.picture_unreadable", case=str(case.id), exc_info=True)
            phash = NO_HASH
        except ScreeningDown:
            break  # the next round asks again
        count += changed("UPDATE moderation_case SET phash = %s WHERE id = %s AND phash = ''", [phash, case.id])
    return count


def _ask_again(complaint_id: UUID) -> int:
    with atomic():
        complaint = Complaint.objects.get(id=complaint_id)
        decided = Case.objects.get(tenant_id=complaint.tenant_id, id=complaint.case_id)
        case_id = _case_for(
            Filing(
                tenant_id=complaint.tenant_id, generation_id=complaint.generation_id, image_id=complaint.image_id,
                image_index=decided.image_index or 0, reason=complaint.reason, text="", source=complaint.source,
            )
        )  # fmt: skip
        return changed(
            "UPDATE moderation_complaint SET case_id = %s WHERE id = %s AND case_id = %s",
            [case_id, complaint_id, decided.id],
        )


def _resolve(complaint_id: UUID, decision: str) -> int:
    outcome = Complaint.Outcome.REMOVED if decision == "reject" else Complaint.Outcome.KEPT
    with atomic():
        resolved = rows(_RESOLVE, [str(outcome), complaint_id])
        for tenant_id, image_id, generation_id, receipt, created_at, resolved_at in resolved:
            payload = {
                "object": "complaint", "id": str(complaint_id), "receipt": receipt, "image_id": str(image_id),
                "generation_id": str(generation_id), "outcome": str(outcome), "created_at": _zulu(created_at),
                "resolved_at": _zulu(resolved_at),
            }  # fmt: skip
            webhooks.emit(tenant_id, "complaint.resolved", payload, subject=complaint_id)
            audit.record(
                "moderation.complaint_resolved", tenant_id=tenant_id, object_kind="image", object_id=image_id,
                details={"receipt": receipt, "outcome": str(outcome)},
            )  # fmt: skip
    return len(resolved)


def _case_for(filing: Filing) -> UUID:
    """The open case about this picture, a new one where there is none."""
    finding = Finding(layer="", category=_category(filing.reason), score=0.0, action="review", rule="")
    opening = Opening(
        tenant_id=filing.tenant_id, generation_id=filing.generation_id, kind=Case.Kind.COMPLAINT,
        image_id=filing.image_id, image_index=filing.image_index, finding=finding,
    )  # fmt: skip
    case_id = new_id()
    if cases.open_case(opening, case_id=case_id):
        on_commit(metrics.COMPLAINTS.inc)
        return case_id
    known = rows(_OPEN_CASE, [filing.tenant_id, filing.image_id])
    return UUID(str(known[0][0])) if known else _case_for(filing)  # applied in this very moment: a case of its own


def _words(complaint: Complaint, case: Case) -> str:
    """Those that cannot be opened hide neither their reason nor the others."""
    try:
        key = open_data_key(case.tenant.data_key, case.tenant.data_key_version)
        return open_sealed(complaint.text_sealed, key=key, context=_context(complaint.id)).decode()
    except CryptoError:
        log.exception("complaints.words_unreadable", case=str(case.id))
        return gettext("(these words cannot be read)")


def _category(reason: str) -> str:
    return reason if reason in CATEGORIES else "other"


def _context(complaint_id: UUID) -> bytes:
    return b"moderation.complaint.text:" + complaint_id.bytes


def _zulu(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
