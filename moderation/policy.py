"""Which score leads to which action: the platform's policy as the floor, a tenant's and a key's wishes on top."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Final, cast
from uuid import UUID

from django.conf import settings

from easel.database import rows
from moderation.categories import CATEGORIES, MINORS, Action, worst
from moderation.findings import Finding

REMEMBER_SECONDS: Final = 3.0
FLAGGED: Final = 0.5  # scores are scaled so that a classifier's own operating point is here; a term scores 1
NEVER: Final = 2.0
MARKED_REGIONS: Final = {"CN"}  # whose rules want the visible mark on every image
ASK_PEOPLE: Final = "review_instead_of_block"  # of a tenant's policy, where its plan has it
TRIED: Final = "own policy, tried"  # the rule of what a tenant's policy in shadow mode finds
BLOCK: Final = {"text_review": 0.5, "text_block": 0.9, "image_review": 0.6, "image_block": 0.9}
DEFAULT: Final[Mapping[str, Mapping[str, float]]] = {
    "sexual": {"text_review": 0.5, "text_block": 0.8, "image_review": 0.6, "image_block": 0.9},
    MINORS: {"text_review": 0.5, "text_block": 0.5, "image_review": 0.3, "image_block": 0.3},
    "violence": {"text_review": 0.5, "text_block": 0.8, "image_review": 0.6, "image_block": 0.9},
    "hate": BLOCK,
    "self-harm": BLOCK,
    "illegal": BLOCK,
    "public-figures": {"text_review": 0.5, "text_block": NEVER, "image_review": 0.6, "image_block": NEVER},
    "private-persons": {"text_review": 0.5, "text_block": 0.9, "image_review": 0.6, "image_block": NEVER},
    "political": {"text_review": NEVER, "text_block": NEVER, "image_review": NEVER, "image_block": NEVER},
    "spam": {"text_review": 0.5, "text_block": NEVER, "image_review": 0.6, "image_block": NEVER},
}

# What else counts in a region (ISO 3166), where no version of the policy says otherwise.
REGIONAL: Final[Mapping[str, Mapping[str, Mapping[str, float]]]] = {
    "CN": {"political": {"text_review": 0.5, "text_block": NEVER, "image_review": 0.6, "image_block": NEVER}},
}


@dataclass(frozen=True, slots=True)
class Effective:
    """The policy for one tenant's key. `stricter` maps categories to the tenant's own action where one is flagged."""

    version: int
    shadow: bool
    thresholds: Mapping[str, Mapping[str, float]]
    stricter: Mapping[str, Action]
    terms: tuple[str, ...] = ()
    visible_mark: bool = False
    tried: Mapping[str, Action] = field(default_factory=dict)  # like `stricter`, and only recorded
    tried_terms: tuple[str, ...] = ()
    asks_people: bool = False  # what the platform would block for its words is held for staff instead

    def text(self, category: str, score: float) -> Action:
        return self._judge(category, score, "text")

    def image(self, category: str, score: float) -> Action:
        return self._judge(category, score, "image")

    def mildest(self, category: str, kind: str) -> Action:
        """What is done at least where something of the category is found."""
        return self._judge(category, FLAGGED, kind) if kind == "text" else self._judge(category, 0.6, kind)

    def wished(self, category: str, score: float) -> Action:
        """What tenant and key ask for by themselves."""
        return self.stricter.get(category, "allow") if score >= FLAGGED else "allow"

    def trials(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """What the wishes that are only tried would have made of these findings."""
        for finding in findings:
            action = self.tried.get(finding.category, "allow") if finding.score >= FLAGGED else "allow"
            if worst(finding.action, action) != finding.action:
                yield replace(finding, action=action, rule=TRIED, shadow=True)

    def _judge(self, category: str, score: float, kind: str) -> Action:
        bounds = self.thresholds.get(category, BLOCK)
        own: Action = "block" if score >= bounds[f"{kind}_block"] else "allow"
        if score >= bounds[f"{kind}_review"]:
            own = worst(own, "review")
        if own == "block" and kind == "text" and self.asks_people:
            own = "review"
        if category == MINORS and own != "allow":
            own = "block"
        return worst(own, self.wished(category, score))


def effective(tenant_id: UUID, key_id: UUID | None) -> Effective:
    """What counts now. Needs the tenant's scope or the platform role."""
    known = remembered(tenant_id, key_id)
    if known is not None:
        return known
    found = _read(tenant_id, key_id)
    with _lock:
        if len(_known) > 10_000:
            _known.clear()
        _known[tenant_id, key_id] = (time.monotonic(), found)
    return found


def remembered(tenant_id: UUID, key_id: UUID | None) -> Effective | None:
    """The same without a question to the database, where this process asked it within REMEMBER_SECONDS."""
    with _lock:
        known = _known.get((tenant_id, key_id))
    return known[1] if known is not None and time.monotonic() - known[0] < REMEMBER_SECONDS else None


def read(tenant_id: UUID, key_id: UUID | None) -> Effective:
    """What counts at this very moment, whatever this process remembers."""
    return _read(tenant_id, key_id)


def platform() -> tuple[int, bool, Mapping[str, Mapping[str, float]]]:
    """The newest version, whether it only records, and its thresholds."""
    found = rows("SELECT version, shadow, categories FROM moderation_policy ORDER BY version DESC LIMIT 1")
    if not found:
        return 1, False, defaults()
    version, shadow, categories = found[0]
    return version, shadow, {**defaults(), **_loaded(categories)}


def defaults() -> Mapping[str, Mapping[str, float]]:
    """The thresholds of a category of which no version of the policy says anything, in the installation's region."""
    return {**DEFAULT, **REGIONAL.get(settings.REGION, {})}


_options: list[Callable[[UUID], Mapping[str, Any]]] = []


def on_options(told: Callable[[UUID], Mapping[str, Any]]) -> None:
    """Register who knows which of its options a tenant's plan has. Asked in the tenant's scope or the platform role."""
    _options[:] = [told]


def allowed(tenant_id: UUID, option: str) -> bool:
    """Whether the tenant's plan has this option."""
    return option in options(tenant_id)


def options(tenant_id: UUID) -> set[str]:
    """What the tenant's plan has; without anybody who knows, nothing."""
    return {name for told in _options for name, given in told(tenant_id).items() if given}


def marks_every_image() -> bool:
    """Whether the installation's region wants the visible mark, whatever a tenant wishes."""
    return settings.REGION in MARKED_REGIONS


def forget() -> None:
    """A policy was changed in this process."""
    with _lock:
        _known.clear()


_OWN: Final = """
SELECT categories, terms, visible_mark, shadow, review_instead_of_block FROM moderation_tenantpolicy
WHERE tenant_id = %s AND (key_id IS NULL OR key_id = %s)
"""


def _read(tenant_id: UUID, key_id: UUID | None) -> Effective:
    version, shadow, thresholds = platform()
    stricter: dict[str, Action] = {}
    terms: list[str] = []
    mark, asked = marks_every_image(), False
    tried: dict[str, Action] = {}
    tried_terms: list[str] = []
    for categories, own_terms, visible, only_tried, ask_people in rows(_OWN, [tenant_id, key_id]):
        wishes, words = (tried, tried_terms) if only_tried else (stricter, terms)
        for category, action in _loaded(categories).items():
            if category in CATEGORIES:
                wishes[category] = worst(wishes.get(category, "allow"), cast(Action, action))
        words.extend(_loaded(own_terms))
        mark, asked = mark or visible, asked or (ask_people and not only_tried)
    return Effective(
        version, shadow, thresholds, stricter, tuple(dict.fromkeys(terms)), mark, tried,
        tuple(dict.fromkeys(tried_terms)), asked and allowed(tenant_id, ASK_PEOPLE),
    )  # fmt: skip


def _loaded(value: Any) -> Any:
    """JSON columns come as text where Django's model layer is left out."""
    return json.loads(value) if isinstance(value, str) else value


_known: dict[tuple[UUID, UUID | None], tuple[float, Effective]] = {}
_lock = Lock()
