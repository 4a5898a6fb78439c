"""What a layer found, before and after the policy has spoken."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter

from easel.database import Question, changed
from easel.identifiers import new_id
from moderation.categories import MINORS, UNSCREENED, Action, worst

# The category of what concerns minors is counted; nothing else of it is told anywhere.
VERDICTS: Final = Counter("easel_verdicts", "Verdicts by layer, action and category.", ["layer", "action", "category"])

_INSERT: Final = """
INSERT INTO moderation_verdict (id, tenant_id, generation_id, image_index, layer, category, action, score, rule, phash,
    policy_version, model_version, shadow)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_STORED: Final = """
SELECT layer, category, score, action, rule, model_version, phash, shadow FROM moderation_verdict
WHERE tenant_id = %s AND generation_id = %s AND {which} ORDER BY id DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One layer's word on one category. `rule` is for staff: the term, or the model."""

    layer: str
    category: str
    score: float
    action: Action
    rule: str = ""
    model_version: str = ""
    phash: str = ""
    shadow: bool = False  # of a policy that is only tried: recorded, and of no effect


@dataclass(frozen=True, slots=True)
class Judgment:
    """All that was found in one prompt or picture, and what is to be done. `cleared`: a person let this very prompt
    pass before. `scores` are those of the layer's model, for whoever asked for them."""

    findings: tuple[Finding, ...]
    policy_version: int
    shadow: bool = False
    phash: str = ""
    cleared: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def action(self) -> Action:
        return worst(*(finding.action for finding in self._counting))

    @property
    def found(self) -> Action:
        """What would be done if it were not for the shadow mode."""
        return worst(*(finding.action for finding in self.findings if not finding.shadow))

    @property
    def flagged(self) -> set[str]:
        """The categories for which `found` is more than to allow."""
        return {each.category for each in self.findings if each.action != "allow" and not each.shadow}

    @property
    def leading(self) -> Finding | None:
        """The finding that decides; among equals what concerns minors, then the highest score."""
        decisive = [finding for finding in self._counting if finding.action == self.action != "allow"]
        return max(decisive, key=lambda finding: (finding.category == MINORS, finding.score), default=None)

    @property
    def category(self) -> str:
        leading = self.leading
        return leading.category if leading else ""

    @property
    def reading(self) -> dict[str, Any] | None:
        """What the layer's model said of a picture, for later policies to measure; None where it could not answer."""
        if any(finding.category == UNSCREENED for finding in self.findings):
            return None
        return {"scores": dict(self.scores), "phash": self.phash}

    @property
    def unscreened(self) -> bool:
        """Whether nothing but a layer that could not answer speaks against it: the clock asks that layer again."""
        return self.action == "review" and self.category == UNSCREENED

    @property
    def _counting(self) -> Sequence[Finding]:
        """The shadow mode lets pass what was judged. What was not is held, and what concerns minors stays blocked."""
        effective = [each for each in self.findings if not each.shadow]
        return [each for each in effective if not self.shadow or each.category in {UNSCREENED, MINORS}]


def together(first: Judgment, *others: Judgment) -> Judgment:
    """One judgment on what belongs together: a prompt, and the picture it starts from."""
    findings = [*first.findings, *(finding for other in others for finding in other.findings)]
    return replace(first, findings=tuple(findings), cleared=first.cleared)


def of_request(tenant_id: UUID, generation_id: UUID) -> list[Finding]:
    """What was said before drawing: of the words, and of a picture it starts from."""
    return _stored("image_index IS NULL", tenant_id, generation_id).ask()


def of_pictures(tenant_id: UUID, generation_id: UUID) -> Question[list[Finding]]:
    """What was said of what was drawn, by layers and by people."""
    return _stored("image_index IS NOT NULL", tenant_id, generation_id)


def _stored(which: str, tenant_id: UUID, generation_id: UUID) -> Question[list[Finding]]:
    return Question(_STORED.format(which=which), [tenant_id, generation_id], _read)


def _read(found: list[tuple[Any, ...]]) -> list[Finding]:
    return [
        Finding(
            layer=layer, category=category, score=score, action=action, rule=rule, model_version=model, phash=phash,
            shadow=shadow,
        )
        for layer, category, score, action, rule, model, phash, shadow in found
    ]  # fmt: skip


def store(tenant_id: UUID, judgment: Judgment, *, generation_id: UUID | None, image_index: int | None = None) -> None:
    """Write the verdicts, in the caller's transaction (the tenant's scope, or the platform role)."""
    for finding in judgment.findings:
        if not finding.shadow:
            VERDICTS.labels(finding.layer, finding.action, finding.category or "none").inc()
        changed(
            _INSERT,
            [new_id(), tenant_id, generation_id, image_index, finding.layer, finding.category, finding.action,
             finding.score, finding.rule[:120], finding.phash or judgment.phash, judgment.policy_version,
             finding.model_version, finding.shadow or judgment.shadow],
        )  # fmt: skip


def strongest(findings: Iterable[Finding]) -> Sequence[Finding]:
    """One finding for each layer and category: the one with the worst action, then the highest score."""
    best: dict[tuple[str, str, bool], Finding] = {}
    for finding in findings:
        key = (finding.layer, finding.category, finding.shadow)
        known = best.get(key)
        if known is None or (worst(finding.action, known.action) != known.action) or finding.score > known.score:
            best[key] = finding
    return tuple(best.values())
