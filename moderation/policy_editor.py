"""New versions of the platform's policy. None is ever changed: what was decided under it can be explained for good."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError
from django.utils.translation import gettext as _

from easel.database import atomic, rows
from moderation import policy
from moderation.categories import CATEGORIES, MINORS
from moderation.models import Policy
from moderation.policy import BLOCK, DEFAULT, NEVER
from tenants import audit

BOUNDS: Final = ("text_review", "text_block", "image_review", "image_block")
Thresholds = Mapping[str, Mapping[str, float]]


class Refused(Exception):
    """The draft cannot become a version; says why, in the reader's language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`based_on` is the version that its author saw: a newer one must not be overwritten unseen."""

    based_on: int
    thresholds: Thresholds
    shadow: bool
    note: str


def read(form: Mapping[str, str]) -> Draft:
    """A draft from a form with one field a bound, `sexual.text_review`; an empty one means never. Raises Refused."""
    thresholds = {
        category: {bound: _bound(form.get(f"{category}.{bound}", ""), category) for bound in BOUNDS}
        for category in CATEGORIES
    }
    return Draft(
        based_on=int(form["based_on"]) if form.get("based_on", "").isdecimal() else 0,
        thresholds=thresholds,
        shadow=form.get("shadow") == "1",
        note=form.get("note", "").strip()[:200],
    )


def publish(draft: Draft, *, who: str) -> int:
    """The new version's number. Raises Refused."""
    _check(draft)
    with atomic():
        rows("SELECT pg_advisory_xact_lock(hashtext('moderation_policy'))")
        version, shadow, thresholds = policy.platform()
        if draft.based_on != version:
            raise Refused(_("Version %(version)s was published meanwhile. Look at it first.") % {"version": version})
        changes = differences(thresholds, draft.thresholds)
        if not changes and draft.shadow == shadow:
            raise Refused(_("Nothing is different from version %(version)s.") % {"version": version})
        try:
            made = Policy.objects.create(
                version=version + 1, categories=draft.thresholds, shadow=draft.shadow, note=draft.note, created_by=who
            )
        except IntegrityError as error:
            raise Refused(_("Somebody else published a version at this moment. Look at it first.")) from error
        audit.record(
            "moderation.policy_published", tenant_id=None, object_kind="policy", object_id=made.version,
            details={"shadow": made.shadow, "changes": changes, "note": made.note},
        )  # fmt: skip
    policy.forget()
    return made.version


def differences(before: Thresholds, after: Thresholds) -> dict[str, list[float]]:
    """`sexual.text_review` -> what it was, what it is."""
    return {
        f"{category}.{bound}": [before.get(category, BLOCK)[bound], after[category][bound]]
        for category in after
        for bound in BOUNDS
        if before.get(category, BLOCK)[bound] != after[category][bound]
    }


def versions() -> list[Policy]:
    return list(Policy.objects.order_by("-version")[:50])


def _bound(said: str, category: str) -> float:
    if not said.strip():
        return NEVER
    try:
        value = float(said)
    except ValueError as error:
        raise Refused(_("%(category)s: a bound is a number from 0 to 1.") % {"category": category}) from error
    if not 0 < value <= 1:
        raise Refused(_("%(category)s: a bound is a number from 0 to 1.") % {"category": category})
    return value


def _check(draft: Draft) -> None:
    if not draft.note:
        raise Refused(_("Say in a few words what is different and why."))
    for category, bounds in draft.thresholds.items():
        for kind in ("text", "image"):
            if bounds[f"{kind}_block"] < bounds[f"{kind}_review"]:
                raise Refused(_("%(category)s: what is blocked would not be reviewed before.") % {"category": category})
    if any(draft.thresholds[MINORS][bound] > DEFAULT[MINORS][bound] for bound in BOUNDS):
        raise Refused(_("The bounds for minors can be lowered, never raised."))
