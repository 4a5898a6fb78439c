"""The clock's part in moderation: what could not be judged is judged as soon as somebody can, and let go without a
person if it is harmless; and what nobody appealed is removed in the end."""

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from easel.clock import duty
from easel.crypto import CryptoError, open_data_key
from easel.database import atomic, changed, rows
from easel.problems import Problem
from easel.storage import ObjectMissing, StorageUnavailable, storage
from generation import decisions, inputs, judging, outcomes, sealed_images
from generation.judging import Fate
from generation.models import Generation, Image
from generation.prompts import open_prompts
from generation.spec import InputReference
from moderation import findings
from moderation.categories import UNSCREENED
from moderation.findings import Judgment
from moderation.screening import client
from tenants import keys

log = structlog.get_logger(__name__)

BATCH: Final = 50
APPEAL_DAYS: Final = 7

_WAITING: Final = """
SELECT id, request_id, tenant_id FROM generation_generation WHERE unscreened AND id > %s ORDER BY id LIMIT %s
"""
_BEFORE_ALL: Final = UUID(int=0)
_SCREENED: Final = """
UPDATE generation_generation SET screened = %s, category = %s WHERE tenant_id = %s AND id = %s
"""
_JUDGED: Final = "UPDATE generation_generation SET unscreened = false WHERE tenant_id = %s AND id = %s"
_READ: Final = "UPDATE generation_image SET reading = %s WHERE tenant_id = %s AND id = %s"
_UNOPENED: Final = """
SELECT image.id FROM generation_image image WHERE image.tenant_id = %s AND image.generation_id = %s
    AND image.released_at IS NULL AND image.rejected_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM moderation_case held WHERE held.tenant_id = image.tenant_id AND held.kind = 'held'
            AND held.generation_id = image.generation_id AND held.image_index = image.index)
"""
_MOOT: Final = """
DELETE FROM moderation_case held USING generation_generation g
WHERE held.kind IN ('held', 'second') AND held.status = 'open' AND g.tenant_id = held.tenant_id
    AND g.id = held.generation_id AND g.erased_at IS NOT NULL
"""


_reached = _BEFORE_ALL


class StillDown(Exception):
    """The layer that did not answer does not answer yet."""


@duty("judge_again", every=5.0)
def judge_again() -> int:
    """A process that hangs must not keep the clock from its other duties: it is asked how it is before anything else,
    and again where it has no answer. What cannot be judged though it is well keeps nobody waiting: each run goes on
    behind the last one's end."""
    global _reached  # noqa: PLW0603  where this clock's last run ended
    waiting = rows(_WAITING, [_reached, BATCH]) or rows(_WAITING, [_BEFORE_ALL, BATCH])
    if not waiting or not client.ready():
        return 0
    judged = 0
    for generation_id, request_id, tenant_id in waiting:
        with bound_contextvars(request_id=request_id, tenant=str(tenant_id)):
            try:
                _judge(Generation.objects.get(id=generation_id))
                judged += 1
            except StillDown:
                if not client.ready():
                    return judged
                log.warning("rejudging.no_answer", generation=str(generation_id))
            except (StorageUnavailable, CryptoError, Problem) as error:
                log.warning("rejudging.not_now", generation=str(generation_id), error=type(error).__name__)
        _reached = generation_id
    return judged


@duty("forget_rejected_images", every=600.0)
def forget_rejected_images() -> int:
    return decisions.forget_rejected(days=APPEAL_DAYS)


@duty("drop_moot_cases", every=60.0)
def drop_moot_cases() -> int:
    """Nobody has to look at what its customer has erased."""
    return changed(_MOOT)


def _judge(generation: Generation) -> None:
    words = _of_words(generation) if generation.screened == Generation.Screened.UNSCREENED else None
    screened = generation.screened if words is None else judging.screened(words)
    seen = [(image, _of_picture(image, generation)) for image in _waiting(generation)]
    with atomic():
        if words is not None:
            changed(_SCREENED, [screened, words.category, generation.tenant_id, generation.id])
            findings.store(generation.tenant_id, words, generation_id=generation.id)
        changed(_JUDGED, [generation.tenant_id, generation.id])
        _apply(generation, screened, words, seen)
    log.info("rejudging.judged", generation=str(generation.id), images=len(seen))


def _apply(
    generation: Generation, screened: str, words: Judgment | None, seen: Sequence[tuple[Image, Judgment]]
) -> None:
    """As the worker would have done it, had it been told. Cases come last: their record locks the audit log, and
    whoever moves credits takes that after the wallet."""
    tenant_id = generation.tenant_id
    released: list[int] = []
    held: list[tuple[Image, Judgment]] = []
    for image, judgment in seen:
        findings.store(tenant_id, judgment, generation_id=generation.id, image_index=image.index)
        if judgment.reading is not None:
            changed(_READ, [json.dumps(judgment.reading), tenant_id, image.id])
        blocked = words if words is not None and words.action == "block" else judgment
        fate = Fate.REFUSE if blocked is words else judging.fate(screened, judgment)
        if fate is Fate.RELEASE:
            released.append(image.index)
        elif fate is Fate.REFUSE:
            decisions.reject(tenant_id, generation.id, [image.index], category=blocked.category)
        else:
            held.append((image, judgment))
    if released:
        decisions.release(tenant_id, generation.id, released)
    for image, judgment in held:
        why = judgment.leading or outcomes.of_words(tenant_id, generation.id)
        outcomes.hold(
            tenant_id, generation.id, image_id=image.id, image_index=image.index, finding=why, phash=judgment.phash
        )


def _waiting(generation: Generation) -> list[Image]:
    """Its held images that no person was asked about."""
    found: list[tuple[Any]] = rows(_UNOPENED, [generation.tenant_id, generation.id])
    return list(Image.objects.filter(id__in=[image_id for (image_id,) in found]).order_by("index"))


def _of_words(generation: Generation) -> Judgment:
    tenant = generation.tenant
    key = open_data_key(tenant.data_key, tenant.data_key_version)
    prompt, negative_prompt = open_prompts(
        generation.prompt_sealed, generation.negative_prompt_sealed, key=key, generation_id=generation.id
    )
    start = _start(generation.tenant_id, generation.init_image_id)
    judgment = judging.of_request(
        prompt, negative_prompt, start, tenant_id=generation.tenant_id, key_id=generation.key_id, data_key=key
    )
    return _told(judgment)


def _start(tenant_id: UUID, input_id: UUID | None) -> InputReference | None:
    if input_id is None:
        return None
    given = inputs.known(input_id, tenant_id=tenant_id)
    return None if given is None else inputs.read(given, tenant_id=tenant_id)


def _of_picture(image: Image, generation: Generation) -> Judgment:
    """A file that is missing is for a person to see."""
    used = sealed_images.opened(image, keys.data_key_of(image.tenant_id))
    try:
        data = b"".join(sealed_images.contents(storage(), image.object_key, used))
    except ObjectMissing:
        log.exception("rejudging.picture_missing", generation=str(generation.id), index=image.index)
        data = b""
    return _told(judging.of_file(data, tenant_id=generation.tenant_id, key_id=generation.key_id))


def _told(judgment: Judgment) -> Judgment:
    if any(finding.category == UNSCREENED and not finding.rule for finding in judgment.findings):
        raise StillDown
    return judgment
