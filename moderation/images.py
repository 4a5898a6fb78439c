"""The layers that look: previews while drawing, and every finished image before it has an address."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from easel.database import planned
from moderation import policy
from moderation.categories import CATEGORIES, UNSCREENED, Action, worst
from moderation.findings import Finding, Judgment
from moderation.models import Verdict
from moderation.policy import FLAGGED, Effective
from moderation.screening.client import ImageReading, ImageRefused, ScreeningDown, screen_image

NEAR: Final = 3  # bits of 64 in which a picture may differ from a rejected one and still be the same
PLAIN: Final = range(10, 55)  # one-bits of a hash that says anything: a flat picture's does not
LOOKING: Final = (Verdict.Layer.PREVIEW, Verdict.Layer.IMAGE)

_REJECTED: Final = "SELECT category FROM moderation_rejectedhash WHERE bit_count((phash # %s)::bit(64)) <= %s LIMIT 1"


def judge(data: bytes, effective: Effective, *, layer: str = Verdict.Layer.IMAGE) -> Judgment:
    """What is to be done with this picture. Never raises ScreeningDown: what cannot be judged is for review.

    Not to be called inside a transaction: it asks another process.
    """
    try:
        reading = screen_image(data)
    except ScreeningDown:
        return unjudged(effective, layer=layer)
    except ImageRefused as error:
        return unjudged(effective, layer=layer, why=str(error))
    return weigh(reading, effective, layer=layer)


def weigh(reading: ImageReading, effective: Effective, *, layer: str = Verdict.Layer.IMAGE) -> Judgment:
    """What a policy makes of a picture's scores, and of its likeness to rejected ones."""
    findings = [_scored(layer, category, score, reading, effective) for category, score in reading.scores.items()]
    if layer == Verdict.Layer.IMAGE and (known := rejected_like(reading.phash)) is not None:
        rule = "like a rejected picture"
        findings.append(Finding(layer="hash", category=known, score=1.0, action="block", rule=rule))
    flagged = tuple(finding for finding in findings if finding.action != "allow" or finding.score >= FLAGGED)
    flagged = (*flagged, *effective.trials(flagged))
    return Judgment(flagged, effective.version, effective.shadow, reading.phash, scores=reading.scores)


def unjudged(effective: Effective, *, layer: str = Verdict.Layer.IMAGE, why: str = "") -> Judgment:
    """For review. With `why` no other answer is to be expected, and a person has to look."""
    finding = Finding(layer=layer, category=UNSCREENED, score=0.0, action="review", rule=why)
    return Judgment((finding,), effective.version, effective.shadow)


def again(judgment: Judgment, effective: Effective) -> Judgment:
    """The same picture under another policy as well: the stricter one counts."""
    findings = tuple(
        replace(each, action=worst(each.action, effective.image(each.category, each.score)))
        if each.category in CATEGORIES and not each.shadow
        else each
        for each in judgment.findings
    )
    return replace(judgment, findings=findings, policy_version=effective.version)


def reused(
    tenant_id: UUID, key_id: UUID | None, found: Sequence[Finding], readings: Sequence[Mapping[str, Any] | None]
) -> Action:
    """What the policy of this key, as it is now, makes of pictures that were drawn for another request: of their
    `readings` (`Judgment.reading`, one a picture), of what was `found` in them and on the way (`findings.of_pictures`),
    and of their likeness to what was rejected since. What no model has read is not handed over. Whatever people let
    through is measured by the wishes of tenant and key alone. Needs the tenant's scope or the platform role."""
    effective = policy.effective(tenant_id, key_id)
    approved = any(finding.layer == Verdict.Layer.STAFF and finding.action == "allow" for finding in found)
    seen = [finding for finding in found if finding.layer in LOOKING]
    if approved:
        return worst(*(effective.wished(finding.category, finding.score) for finding in seen))
    if None in readings:
        return "review"
    anew = [weigh(ImageReading(each["scores"], each["phash"], ""), effective) for each in readings if each is not None]
    measured = [replace(each, action=effective.image(each.category, each.score), shadow=False) for each in seen]
    measured += [finding for judgment in anew for finding in judgment.findings]
    return Judgment(tuple(measured), effective.version, effective.shadow).action


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
    found = planned(_REJECTED, [signed(phash), NEAR])
    return found[0][0] if found else None


def _scored(layer: str, category: str, score: float, reading: ImageReading, effective: Effective) -> Finding:
    action = effective.image(category, score) if category in CATEGORIES else "review"
    return Finding(
        layer=layer, category=category, score=score, action=action, rule=reading.scorer, model_version=reading.scorer,
        phash=reading.phash,
    )  # fmt: skip
