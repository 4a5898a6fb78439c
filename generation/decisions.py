"""What follows from a decision of staff: pictures released or rejected, credits given back, prompts cleared.

`Cases` is what moderation calls: it is registered when the app is ready. `release` and `reject` are also the
clock's, for what it has judged again. All of it belongs to the caller's transaction, under the platform role; the
generation's row is locked first, so that two decisions on one generation follow each other.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings

from billing import ledger, pricing
from easel import metrics
from easel.crypto import CryptoError, open_data_key
from easel.database import changed, on_commit, rows
from easel.identifiers import new_id
from easel.storage import ObjectMissing, storage
from generation import appeals, cache, events, sealed_images, takedown
from generation.contact_sheet import beside_each_other
from generation.models import Image
from generation.prompts import open_prompts
from generation.refusals import AFTER, CODE
from generation.spec import planned_steps
from moderation import findings, prompts, subjects
from moderation.categories import MINORS, Action
from moderation.findings import Finding, Judgment
from moderation.models import Case, Verdict
from tenants import keys

log = structlog.get_logger(__name__)

BATCH: Final = 500

_LOCK: Final = """
SELECT quote, n, steps, strength, credits FROM generation_generation
WHERE tenant_id = %(tenant)s AND id = %(generation)s AND erased_at IS NULL FOR NO KEY UPDATE
"""
_RELEASE: Final = """
UPDATE generation_image SET released_at = now(), rejected_at = NULL
WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s AND index = ANY(%(indexes)s) AND released_at IS NULL
    AND (rejected_at IS NULL) <> %(again)s
"""
_REJECT: Final = """
UPDATE generation_image SET rejected_at = now()
WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s AND index = ANY(%(indexes)s)
    AND released_at IS NULL AND rejected_at IS NULL
RETURNING index, steps_run
"""
# A generation ends once nothing of it waits. The first reason counts where several images were rejected.
_SETTLE: Final = """
WITH pictures AS (
    SELECT count(*) FILTER (WHERE released_at IS NOT NULL) AS released,
        count(*) FILTER (WHERE released_at IS NULL AND rejected_at IS NULL) AS held
    FROM generation_image WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s
)
UPDATE generation_generation SET
    status = CASE WHEN pictures.released > 0 THEN 'completed' ELSE 'rejected' END, unscreened = false,
    category = CASE WHEN pictures.released > 0 THEN '' WHEN %(category)s <> '' THEN %(category)s ELSE category END,
    error_code = CASE WHEN pictures.released > 0 THEN '' ELSE %(code)s END,
    error_detail = CASE WHEN pictures.released > 0 THEN '' ELSE %(detail)s END
FROM pictures WHERE tenant_id = %(tenant)s AND id = %(generation)s AND pictures.held = 0
    AND (status = 'in_review' OR (status = 'rejected' AND pictures.released > 0))
RETURNING status, pictures.released = n
"""
_REFUNDED: Final = "UPDATE generation_generation SET credits = credits - %s WHERE tenant_id = %s AND id = %s"
_CLEAR: Final = """
INSERT INTO moderation_pass (id, tenant_id, digest) VALUES (%s, %s, %s) ON CONFLICT (tenant_id, digest) DO NOTHING
"""
# An object may be another image's, too: it goes with its last reference.
_REMOVE: Final = """
WITH gone AS (
    DELETE FROM generation_image WHERE {which} RETURNING id, tenant_id, object_key
)
INSERT INTO generation_doomedobject (id, tenant_id, object_key)
SELECT id, tenant_id, object_key FROM gone WHERE NOT EXISTS (
    SELECT 1 FROM generation_image other WHERE other.tenant_id = gone.tenant_id
        AND other.object_key = gone.object_key AND other.id <> gone.id)
ON CONFLICT (tenant_id, object_key) DO NOTHING
"""
_WORDS: Final = """
SELECT g.id, g.prompt_sealed, g.negative_prompt_sealed, t.data_key, t.data_key_version
FROM generation_generation g JOIN tenants_tenant t ON t.id = g.tenant_id
WHERE {which} AND g.erased_at IS NULL ORDER BY g.id DESC LIMIT %(limit)s
"""


class Cases:
    """`moderation.subjects.Subjects`, for generations and their images."""

    def prompts(self, case: Case) -> tuple[str, str]:
        found = _sealed("g.id = %(id)s", id=case.generation_id, limit=1)
        return _opened(found[0]) if found else ("", "")

    def picture(self, case: Case) -> bytes | None:
        """Of an appeal all that it would bring back."""
        pictures = Image.objects.filter(tenant_id=case.tenant_id, generation_id=case.generation_id).order_by("index")
        if case.kind == Case.Kind.APPEAL:
            return beside_each_other([*filter(None, map(_file, pictures.filter(rejected_at__isnull=False)))])
        if case.image_index is not None:
            pictures = pictures.filter(index=case.image_index)
        image = pictures.first()
        return _file(image) if image else None

    def decided(self, case: Case, *, approved: bool) -> None:
        match case.kind:
            case Case.Kind.HELD:
                _decide_held(case, approved=approved)
            case Case.Kind.APPEAL:
                if approved:
                    grant_appeal(case.tenant_id, case.generation_id)
                appeals.tell(case)
            case Case.Kind.COMPLAINT if not approved and case.image_id is not None:
                takedown.take_down(case.tenant_id, case.image_id, reason=case.reason)

    def last_prompts(self, count: int) -> Iterator[str]:
        """Those that concern minors are left out: their words are shown to nobody."""
        left, before = count, None
        while left > 0:
            which = "g.category <> %(minors)s AND (%(before)s::uuid IS NULL OR g.id < %(before)s)"
            found = _sealed(which, minors=MINORS, before=before, limit=min(BATCH, left))
            for row in found:
                try:
                    yield _opened(row)[0]
                except CryptoError:
                    log.exception("decisions.prompt_unreadable", generation=str(row[0]))
            if len(found) < min(BATCH, left):
                return
            left, before = left - len(found), found[-1][0]


def _file(image: Image) -> bytes | None:
    used = sealed_images.opened(image, keys.data_key_of(image.tenant_id))
    try:
        return b"".join(sealed_images.contents(storage(), image.object_key, used))
    except ObjectMissing:
        return None


def _decide_held(case: Case, *, approved: bool) -> None:
    tenant_id, generation_id, index = case.tenant_id, case.generation_id, case.image_index
    if index is None:
        return
    action: Action = "allow" if approved else "block"
    said = Finding(layer=Verdict.Layer.STAFF, category=case.category, score=0.0, action=action, rule=case.reason)
    findings.store(tenant_id, Judgment((said,), 0), generation_id=generation_id, image_index=index)
    if approved:
        release(tenant_id, generation_id, [index])
    else:
        reject(tenant_id, generation_id, [index], category=case.category)


def release(tenant_id: UUID, generation_id: UUID, indexes: Sequence[int], *, again: bool = False) -> int:
    """Show these held images to their customer; with `again`, rejected ones. Returns how many."""
    if not rows(_LOCK, {"tenant": tenant_id, "generation": generation_id}):
        return 0
    released = changed(
        _RELEASE, {"tenant": tenant_id, "generation": generation_id, "indexes": list(indexes), "again": again}
    )
    if released:
        on_commit(lambda: metrics.IMAGES_DELIVERED.inc(released))
        ended = _settle(tenant_id, generation_id)
        status = ended or _status(tenant_id, generation_id)
        events.status_changed(tenant_id, generation_id, status, webhook="generation.released")
        if ended == "completed":
            events.tell(tenant_id, generation_id, "generation.completed")
    return released


def reject(tenant_id: UUID, generation_id: UUID, indexes: Sequence[int], *, category: str) -> int:
    """Never show these held images, and give back what they cost. They are kept for an appeal, unless they concern
    minors. Returns how many."""
    found = rows(_LOCK, {"tenant": tenant_id, "generation": generation_id})
    if not found:
        return 0
    quote, n, steps, strength, paid = found[0]
    rejected = rows(_REJECT, {"tenant": tenant_id, "generation": generation_id, "indexes": list(indexes)})
    for index, steps_run in rejected:
        cost = pricing.refunded_credits(quote, n=n, steps=planned_steps(steps, strength), run=steps_run)
        if settings.REFUND_REJECTED and paid:
            _give_back(tenant_id, generation_id, index, min(paid, cost))
            paid -= min(paid, cost)
    if rejected:
        if category == MINORS:
            which = "tenant_id = %s AND generation_id = %s AND rejected_at IS NOT NULL"
            changed(_REMOVE.format(which=which), [tenant_id, generation_id])
        ended = _settle(tenant_id, generation_id, category=category)
        if ended is not None:
            events.status_changed(tenant_id, generation_id, ended)
    return len(rejected)


def grant_appeal(tenant_id: UUID, generation_id: UUID) -> None:
    """The same prompt passes from now on, and what was rejected of it and is still there is shown."""
    for row in _sealed("g.id = %(id)s", id=generation_id, limit=1):
        _clear(tenant_id, row)
        indexes = Image.objects.filter(tenant_id=tenant_id, generation_id=generation_id, rejected_at__isnull=False)
        release(tenant_id, generation_id, list(indexes.values_list("index", flat=True)), again=True)


def _clear(tenant_id: UUID, row: tuple[Any, ...]) -> None:
    try:
        digest = prompts.digest(_opened(row)[0], open_data_key(row[3], row[4]))
    except CryptoError:
        log.exception("decisions.prompt_unreadable", generation=str(row[0]))
        return  # nobody can send it again; its pictures are shown all the same
    changed(_CLEAR, [new_id(), tenant_id, digest])


def forget_rejected(*, days: int) -> int:
    """Remove rejected images that nobody has appealed in time."""
    which = (
        "rejected_at < now() - make_interval(days => %s) AND NOT EXISTS (SELECT 1 FROM moderation_case appeal "
        "WHERE appeal.tenant_id = generation_image.tenant_id AND appeal.kind = 'appeal' AND appeal.status <> 'applied' "
        "AND appeal.generation_id = generation_image.generation_id)"
    )
    return changed(_REMOVE.format(which=which), [days])


def _give_back(tenant_id: UUID, generation_id: UUID, index: int, amount: int) -> None:
    """Support may have given it back before: then nothing, or the rest."""
    operation = f"refund:{generation_id}:{index}"
    amount = min(amount, ledger.refundable(tenant_id, generation_id))
    why = "rejected by moderation"
    if amount and ledger.refund(tenant_id, generation_id, amount, operation_id=operation, reason=why):
        changed(_REFUNDED, [amount, tenant_id, generation_id])


def _settle(tenant_id: UUID, generation_id: UUID, *, category: str = "") -> str | None:
    """The status that it ends with, None while something of it still waits."""
    ended = rows(
        _SETTLE,
        {"tenant": tenant_id, "generation": generation_id, "category": category, "code": CODE,
         "detail": AFTER.format(category=category)},
    )  # fmt: skip
    for status, complete in ended:
        if complete:
            cache.record(tenant_id, generation_id)
        return str(status)
    return None


def _status(tenant_id: UUID, generation_id: UUID) -> str:
    ((status,),) = rows(
        "SELECT status FROM generation_generation WHERE tenant_id = %s AND id = %s", [tenant_id, generation_id]
    )
    return str(status)


def _sealed(which: str, **parameters: object) -> list[tuple[Any, ...]]:
    return rows(_WORDS.format(which=which), parameters)


def _opened(row: tuple[Any, ...]) -> tuple[str, str]:
    generation_id, prompt, negative, data_key, version = row
    return open_prompts(prompt, negative, key=open_data_key(data_key, version), generation_id=generation_id)


def register() -> None:
    subjects.register(Cases())
