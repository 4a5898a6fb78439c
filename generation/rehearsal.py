"""Test mode: what a test key (`ek_test_…`) asks for is free, needs no worker and comes out the same every time.

A request goes through the same form, limits and rows as a live one. It waits in a pool of its own that no worker
answers, without a hold and without a place in the queue; the clock ends it a moment later. A word in
`metadata.easel_test`, or as the whole prompt after `test:`, asks for any ending and any error by its name.

What is free must not take what others need: few may wait, tenants take turns, a picture is a small one scaled up, and
a run is short, for the clock has other duties.
"""

import hashlib
import io
import time
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import structlog
from PIL import Image as PILImage
from PIL import ImageDraw

from billing import quotas
from billing.plans import Limits
from easel.clock import duty
from easel.crypto import CryptoError
from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from easel.problems import KINDS, Problem
from easel.storage import storage
from generation import events
from generation.endings import TEST_POOL
from generation.models import Generation, Pool
from generation.prompts import open_prompts
from moderation.findings import Judgment
from tenants.keys import tenant_data_key
from tenants.models import Tenant

log = structlog.get_logger(__name__)

POOL: Final = TEST_POOL
VERSION: Final = "test"  # the model's, of what was ended here
WORD: Final = "easel_test"
PREFIX: Final = "test:"
# How a generation may fail, beside `failed` itself.
FAILURES: Final = (
    "model_unavailable", "attempts_exhausted", "out_of_memory", "not_a_picture", "sampler_unsupported",
)  # fmt: skip
ENDINGS: Final = ("completed", "canceled", "rejected", "in_review", "failed", "running")
BATCH: Final = 40
RUN_SECONDS: Final = 0.25  # after which none is begun
MOST_WAITING: Final = 200  # of one tenant, on a plan that lets more wait
UNJUDGED: Final = Judgment((), 0)  # what is drawn here is nobody's picture
RETRY_SECONDS: Final = "1"
SMALL: Final = 96  # pixels of the longer side of what is drawn
BANDS: Final = 8  # of which its ramp is made
_ENCODINGS: Final[dict[str, dict[str, Any]]] = {
    "png": {"compress_level": 1}, "webp": {"lossless": True, "quality": 0, "method": 0}, "jpeg": {"quality": 90},
}  # fmt: skip

# Each tenant's first before anybody's second, and by lot among these. Each half has a partial index of its own.
_DUE: Final = """
WITH due AS (
    SELECT g.id, g.tenant_id, g.cancel_requested_at FROM generation_generation g
    WHERE g.pool_id = (SELECT id FROM generation_pool WHERE name = %(pool)s)
        AND g.status = 'queued' AND g.draws_with IS NULL
    UNION ALL
    SELECT g.id, g.tenant_id, g.cancel_requested_at FROM generation_generation g
    WHERE g.pool_id = (SELECT id FROM generation_pool WHERE name = %(pool)s)
        AND g.status = 'running' AND g.cancel_requested_at IS NOT NULL
), ranked AS (
    SELECT id, cancel_requested_at, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS nth FROM due
)
SELECT id, cancel_requested_at IS NOT NULL FROM ranked ORDER BY nth, random() LIMIT %(batch)s
"""
_WAITING: Final = """
SELECT count(*) FROM generation_generation
WHERE tenant_id = %s AND pool_id = %s AND status = 'queued' AND draws_with IS NULL
"""
_END: Final = """
UPDATE generation_generation SET status = %(status)s, error_code = %(code)s, error_detail = %(detail)s, credits = 0,
    started_at = coalesce(started_at, now()), finished_at = now(), steps_run = %(steps)s, model_version = %(version)s,
    timings = jsonb_build_object('queued_seconds', 0, 'drawing_seconds', 0,
        'total_seconds', round(extract(epoch FROM now() - created_at)::numeric, 3))
WHERE id = %(id)s AND status IN ('queued', 'running')
"""
_BEGIN: Final = """
UPDATE generation_generation SET status = 'running', started_at = now() WHERE id = %s AND status = 'queued'
"""
_INTEND: Final = """
INSERT INTO generation_objectintent (id, tenant_id, object_key) VALUES (%s, %s, %s)
ON CONFLICT (tenant_id, object_key) DO UPDATE SET created_at = now()
"""
_ADOPT: Final = """
INSERT INTO generation_image (id, tenant_id, generation_id, index, seed, width, height, content_type, bytes, sha256,
    object_key, steps_run, released_at)
VALUES (%(id)s, %(tenant)s, %(generation)s, %(index)s, %(seed)s, %(width)s, %(height)s, %(content_type)s, %(bytes)s,
    %(sha256)s, %(object_key)s, %(steps)s, now())
"""


def word_of(prompt: str, metadata: dict[str, str]) -> str:
    """What the request asks to happen; `completed` where it says nothing."""
    if WORD in metadata:
        return metadata[WORD].strip()
    return prompt.removeprefix(PREFIX).strip() if prompt.startswith(PREFIX) else "completed"


def refuse(asked: dict[str, Any]) -> None:
    """Raise the Problem that was asked for by its code."""
    word = word_of(asked["prompt"], asked.get("metadata", {}))
    kind = KINDS.get(word)
    if kind is not None and word not in FAILURES:
        headers = {"Retry-After": RETRY_SECONDS} if kind.status in {429, 503} else {}
        raise Problem(word, "You asked for this error: it is a test.", headers=headers, rehearsed=True)


def rehearsed(generation: Generation) -> bool:
    """Whether it came to the ending that was asked for: its failure is none of ours."""
    return generation.model_version == VERSION


def enroll(row: Generation) -> None:
    """Make a settled row, not yet written, one of the tests: free, nobody's to draw, and no earlier result of anything.
    Needs the tenant's scope."""
    row.pool = Pool.objects.get(name=POOL)
    row.quote = 0
    row.fingerprint = row.seedless = None


def check_waiting(row: Generation, limits: Limits) -> None:
    """As many of a tenant's tests may wait as its plan lets generations wait, up to a bound; `row` is written already.
    Raises Problem too_many_queued; the caller's transaction undoes the rest. Parallel requests do not see one another:
    a few more may get in, which is no harm where nothing is paid."""
    ((waiting,),) = rows(_WAITING, [row.tenant_id, row.pool_id])
    quotas.check_queue(waiting, replace(limits, queued_jobs=min(limits.queued_jobs, MOST_WAITING)))


@duty("end_rehearsals", every=0.5)
def end_rehearsals() -> int:
    """Bring test generations to the ending that they asked for."""
    over, count = time.monotonic() + RUN_SECONDS, 0
    for generation_id, canceled in rows(_DUE, {"pool": POOL, "batch": BATCH}):
        count += _end(generation_id, canceled=canceled)
        if time.monotonic() >= over:
            break
    return count


def _end(generation_id: UUID, *, canceled: bool) -> int:
    generation = Generation.objects.get(id=generation_id)
    try:
        prompt = _prompt(generation)
    except CryptoError:
        log.exception("rehearsal.prompt_unreadable", generation=str(generation_id))
        return _write(generation, status="failed", code="internal_error")
    word = "canceled" if canceled else word_of(prompt, generation.metadata)
    if word == "running":
        return _begin(generation)
    if word in FAILURES or word == "failed":
        return _write(generation, status="failed", code="internal_error" if word == "failed" else word)
    if word in {"canceled", "rejected", "in_review"}:
        return _write(generation, status=word, code="content_rejected" if word == "rejected" else "")
    return _complete(generation, prompt)


def _complete(generation: Generation, prompt: str) -> int:
    files = []
    for index in range(generation.n):
        file = encode(draw(prompt, generation.seed + index, generation.width, generation.height), generation.format)
        object_key = f"t/{generation.tenant_id}/g/{generation.id}/test-{index}.{generation.format}"
        changed(_INTEND, [new_id(), generation.tenant_id, object_key])
        storage().put(object_key, file, f"image/{generation.format}")
        files.append((object_key, file))
    return _write(generation, status="completed", files=files)


def _write(generation: Generation, *, status: str, code: str = "", files: list[tuple[str, bytes]] | None = None) -> int:
    ending = {
        "id": generation.id,
        "status": status,
        "code": code,
        "detail": "You asked for this ending: it is a test." if code else "",
        "steps": generation.steps * len(files or []),
        "version": VERSION,
    }
    with atomic():
        if changed(_END, ending) == 0:
            return 0
        for index, (object_key, file) in enumerate(files or []):
            changed(_ADOPT, _image(generation, index, object_key, file))
        changed(
            "DELETE FROM generation_objectintent WHERE tenant_id = %s AND object_key = ANY(%s)",
            [generation.tenant_id, [object_key for object_key, _ in files or []]],
        )
        events.status_changed(generation.tenant_id, generation.id, status)
    return 1


def _begin(generation: Generation) -> int:
    with atomic():
        begun = changed(_BEGIN, [generation.id])
        if begun:
            events.status_changed(generation.tenant_id, generation.id, "running")
    return begun


def _image(generation: Generation, index: int, object_key: str, file: bytes) -> dict[str, Any]:
    return {
        "id": new_id(),
        "tenant": generation.tenant_id,
        "generation": generation.id,
        "index": index,
        "seed": generation.seed + index,
        "width": generation.width,
        "height": generation.height,
        "content_type": f"image/{generation.format}",
        "bytes": len(file),
        "sha256": hashlib.sha256(file).hexdigest(),
        "object_key": object_key,
        "steps": generation.steps,
    }


def _prompt(generation: Generation) -> str:
    key = tenant_data_key(Tenant.objects.get(id=generation.tenant_id))
    prompt, _ = open_prompts(
        generation.prompt_sealed, generation.negative_prompt_sealed, key=key, generation_id=generation.id
    )
    return prompt


def draw(prompt: str, seed: int, width: int, height: int) -> PILImage.Image:
    """Two colors and a direction that are the prompt's and the seed's, with the word TEST on them. It has a palette and
    large blocks, so that any size is soon encoded."""
    digest = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    scale = min(1.0, SMALL / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ramp = PILImage.linear_gradient("L").rotate(90 * (digest[6] % 4)).resize(size)
    picture = ramp.point([level * BANDS // 256 for level in range(256)])
    picture.putpalette(_palette(digest[0:3], digest[3:6]))
    pen = ImageDraw.Draw(picture)
    pen.fontmode = "1"  # no half tones, which the palette does not have
    pen.text((size[0] / 2, size[1] / 2), f"TEST\n{seed}", fill=BANDS, anchor="mm", align="center")
    return picture.resize((width, height), PILImage.Resampling.NEAREST)


def encode(picture: PILImage.Image, format_: str) -> bytes:
    file = io.BytesIO()
    (picture if format_ == "png" else picture.convert("RGB")).save(file, format_, **_ENCODINGS[format_])
    return file.getvalue()


def _palette(first: bytes, last: bytes) -> bytes:
    """From one color to the other, and white."""
    steps = [band / (BANDS - 1) for band in range(BANDS)]
    ramp = [round(start + (end - start) * step) for step in steps for start, end in zip(first, last, strict=True)]
    return bytes(ramp) + b"\xff\xff\xff"
