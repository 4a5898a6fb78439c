"""The layers that look: previews while drawing, and every finished image before it has an address."""

from typing import Final

from easel.database import platform_role, rows
from moderation.categories import CATEGORIES, UNSCREENED
from moderation.findings import Finding, Judgment
from moderation.models import Verdict
from moderation.policy import FLAGGED, Effective
from moderation.screening.client import ImageReading, ImageRefused, ScreeningDown, screen_image

NEAR: Final = 3  # bits of 64 in which a picture may differ from a rejected one and still be the same
PLAIN: Final = range(10, 55)  # one-bits of a hash that says anything: a flat picture's does not

_REJECTED: Final = "SELECT category FROM moderation_rejectedhash WHERE bit_count((phash # %s)::bit(64)) <= %s LIMIT 1"


def judge(data: bytes, effective: Effective, *, layer: str = Verdict.Layer.IMAGE) -> Judgment:
    """What is to be done with this picture. Never raises ScreeningDown: what cannot be judged is for review.

    Needs the platform role. Not to be called inside a transaction: it asks another process.
    """
    try:
        reading = screen_image(data)
    except ScreeningDown:
        return _for_review(UNSCREENED, "", effective)
    except ImageRefused as error:
        return _for_review(UNSCREENED, str(error), effective)
    findings = [_scored(layer, category, score, reading, effective) for category, score in reading.scores.items()]
    if layer == Verdict.Layer.IMAGE and (known := rejected_like(reading.phash)) is not None:
        rule = "like a rejected picture"
        findings.append(Finding(layer="hash", category=known, score=1.0, action="block", rule=rule))
    flagged = tuple(finding for finding in findings if finding.action != "allow" or finding.score >= FLAGGED)
    return Judgment(flagged, effective.version, effective.shadow, reading.phash)


def signed(phash: str) -> int:
    """16 hexadecimal digits as Postgres keeps them: a signed 64-bit number."""
    value = int(phash, 16)
    return value - 2**64 if value >= 2**63 else value


def telling(phash: str) -> bool:
    return bool(phash) and int(phash, 16).bit_count() in PLAIN


def rejected_like(phash: str) -> str | None:
    """The category of a rejected picture that this one looks like."""
    if not telling(phash):
        return None
    with platform_role():
        found = rows(_REJECTED, [signed(phash), NEAR])
    return found[0][0] if found else None


def _scored(layer: str, category: str, score: float, reading: ImageReading, effective: Effective) -> Finding:
    action = effective.image(category, score) if category in CATEGORIES else "review"
    return Finding(
        layer=layer, category=category, score=score, action=action, rule=reading.scorer, model_version=reading.scorer,
        phash=reading.phash,
    )  # fmt: skip


def _for_review(category: str, rule: str, effective: Effective) -> Judgment:
    """The shadow mode lets pass what was judged; this was not."""
    finding = Finding(layer="image", category=category, score=0.0, action="review", rule=rule)
    return Judgment((finding,), effective.version)
