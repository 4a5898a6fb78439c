"""What a layer found, before and after the policy has spoken."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from easel.database import changed
from easel.identifiers import new_id
from moderation.categories import MINORS, Action, worst

# The category of what concerns minors is counted; nothing else of it is told anywhere.
VERDICTS: Final = Counter("easel_verdicts", "Verdicts by layer, action and category.", ["layer", "action", "category"])

_INSERT: Final = """
INSERT INTO moderation_verdict (id, tenant_id, generation_id, image_index, layer, category, action, score, rule, phash,
    policy_version, model_version, shadow)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
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


@dataclass(frozen=True, slots=True)
class Judgment:
    """All that was found in one prompt or picture, and what is to be done."""

    findings: tuple[Finding, ...]
    policy_version: int
    shadow: bool = False
    phash: str = ""

    @property
    def action(self) -> Action:
        return "allow" if self.shadow else self.found

    @property
    def found(self) -> Action:
        """What would be done if it were not for the shadow mode."""
        return worst(*(finding.action for finding in self.findings))

    @property
    def leading(self) -> Finding | None:
        """The finding that decides; among equals what concerns minors, then the highest score."""
        decisive = [finding for finding in self.findings if finding.action == self.found != "allow"]
        return max(decisive, key=lambda finding: (finding.category == MINORS, finding.score), default=None)

    @property
    def category(self) -> str:
        leading = self.leading
        return leading.category if leading else ""


def store(tenant_id: UUID, judgment: Judgment, *, generation_id: UUID | None, image_index: int | None = None) -> None:
    """Write the verdicts, in the caller's transaction (the tenant's scope, or the platform role)."""
    for finding in judgment.findings:
        VERDICTS.labels(finding.layer, finding.action, finding.category or "none").inc()
        changed(
            _INSERT,
            [new_id(), tenant_id, generation_id, image_index, finding.layer, finding.category, finding.action,
             finding.score, finding.rule[:120], finding.phash or judgment.phash, judgment.policy_version,
             finding.model_version, judgment.shadow],
        )  # fmt: skip


def strongest(findings: Iterable[Finding]) -> Sequence[Finding]:
    """One finding for each layer and category: the one with the worst action, then the highest score."""
    best: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = (finding.layer, finding.category)
        known = best.get(key)
        if known is None or (worst(finding.action, known.action) != known.action) or finding.score > known.score:
            best[key] = finding
    return tuple(best.values())
