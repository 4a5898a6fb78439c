"""The layer before drawing: terms, then the classifier, over a prompt and its negative prompt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from easel.crypto import DataKey, fingerprint
from easel.database import Question
from moderation import policy, rules
from moderation.categories import CATEGORIES, MINORS, UNSCREENED
from moderation.findings import Finding, Judgment, strongest
from moderation.policy import FLAGGED, Effective
from moderation.screening.client import ScreeningDown, TextReading, read_texts
from moderation.text.keywords import Hit, Keywords, lexicon
from moderation.text.reading import readable
from tenants.scope import tenant_scope

MINOR, HINT, COVERING = "minor", "sexual hint", "covering"  # the lexicon's helping groups
_PASSED: Final = "SELECT 1 FROM moderation_pass WHERE tenant_id = %s AND digest = %s"
CERTAIN: Final = 0.9  # from here the classifier alone, without any word for a minor, is believed
SUSPICION: Final = 0.25  # a sexual score that, beside words for a minor, is enough


@dataclass(frozen=True, slots=True)
class Words:
    """A request's prompts, and what the text layers say of them."""

    prompt: str
    negative_prompt: str
    effective: Effective
    judgment: Judgment

    def judging(self, *, tenant_id: UUID, data_key: DataKey) -> Question[Judgment]:
        """What counts in the end: an appeal may have cleared this very prompt. In the tenant's scope."""
        return Question(_PASSED, [tenant_id, digest(self.prompt, data_key)], self._judged)

    def _judged(self, passes: list[tuple[Any, ...]]) -> Judgment:
        if not passes:
            return self.judgment
        kept = [finding for finding in self.judgment.findings if finding.category == MINORS]
        kept += _negative(self.negative_prompt, self.effective)  # the person looked at the prompt
        return Judgment(tuple(strongest(kept)), self.effective.version, self.effective.shadow, cleared=True)


def read(prompt: str, negative_prompt: str, *, tenant_id: UUID, key_id: UUID | None) -> Words:
    """Never raises ScreeningDown: what cannot be judged is for review.

    Not to be called inside a transaction: it asks another process.
    """
    effective = policy.remembered(tenant_id, key_id)
    if effective is None:
        with tenant_scope(tenant_id):
            effective = policy.effective(tenant_id, key_id)
    return Words(prompt, negative_prompt, effective, judge(prompt, negative_prompt, effective))


def judge(prompt: str, negative_prompt: str, effective: Effective) -> Judgment:
    hits = hits_in(prompt, effective.terms)
    findings = [*_terms(hits, effective), *_negative(negative_prompt, effective)]
    scores: dict[str, float] = {}
    try:
        (reading,) = read_texts([readable(prompt)])
    except ScreeningDown:
        findings.append(Finding(layer="classifier", category=UNSCREENED, score=0.0, action="review"))
    else:
        scores = weighed(reading, hits)
        findings += _classified(scores, reading.version, effective)
    findings += [*effective.trials(findings), *_tried_terms(prompt, effective)]
    return Judgment(tuple(strongest(findings)), effective.version, effective.shadow, scores=scores)


def hits_in(prompt: str, terms: tuple[str, ...] = ()) -> list[Hit]:
    """Easel's terms, staff's rules and the tenant's own."""
    found = [*lexicon().find(prompt), *rules.live().find(prompt)]
    allowed = rules.allowed(prompt)
    found = [hit for hit in found if not any(start <= hit.start and hit.end <= end for start, end in allowed)]
    return [*found, *(_own(terms).find(prompt) if terms else [])]


def _terms(hits: Iterable[Hit], effective: Effective) -> Iterable[Finding]:
    hits = list(hits)
    groups = {hit.group for hit in hits}
    for hit in hits:
        if hit.group in CATEGORIES:
            yield Finding(
                layer="keywords", category=hit.group, score=1.0, rule=hit.term, action=effective.text(hit.group, 1.0)
            )
        elif hit.group == "own":
            yield Finding(layer="keywords", category="own", score=1.0, rule=hit.term, action="block")
    if MINOR in groups and groups & {"sexual", HINT}:
        rule = " + ".join(sorted({hit.term for hit in hits if hit.group in {MINOR, HINT, "sexual"}}))
        yield Finding(layer="keywords", category=MINORS, score=1.0, rule=rule, action=effective.text(MINORS, 1.0))


def _tried_terms(prompt: str, effective: Effective) -> Iterable[Finding]:
    for _ in _own(effective.tried_terms).find(prompt) if effective.tried_terms else []:
        yield Finding(layer="keywords", category="own", score=1.0, action="block", rule=policy.TRIED, shadow=True)


def _negative(negative_prompt: str, effective: Effective) -> Iterable[Finding]:
    """What somebody does not want is usually what they should not get. Two things are not: minors in sexual terms,
    wherever they stand, and clothes that are wished away."""
    if not negative_prompt.strip():
        return
    hits = hits_in(negative_prompt)
    for hit in hits:
        if hit.group == MINORS:
            yield Finding(layer="keywords", category=MINORS, score=1.0, rule=hit.term, action="block")
        elif hit.group == COVERING:
            rule = f"negative prompt: {hit.term}"
            yield Finding(
                layer="keywords", category="sexual", score=FLAGGED, rule=rule, action=effective.text("sexual", FLAGGED)
            )


def weighed(reading: TextReading, hits: Iterable[Hit]) -> dict[str, float]:
    """The classifier's scores, corrected by what the words say."""
    scores = dict(reading.scores)
    young = any(hit.group in {MINOR, MINORS} for hit in hits)
    if not young and scores.get(MINORS, 0.0) < CERTAIN:  # explicit words about adults sound alike: it is sexual
        scores["sexual"] = max(scores.get("sexual", 0.0), scores.pop(MINORS, 0.0))
    if young and scores.get("sexual", 0.0) >= SUSPICION:
        scores[MINORS] = max(scores.get(MINORS, 0.0), FLAGGED)
    flagged = [category for category in CATEGORIES if scores.get(category, 0.0) >= FLAGGED]
    if not flagged and scores.get("harm", 0.0) >= FLAGGED:  # surely something: the likeliest category has it
        likeliest = max(CATEGORIES, key=lambda category: scores.get(category, 0.0))
        scores[likeliest] = max(scores[likeliest], scores["harm"])
    return {category: scores.get(category, 0.0) for category in CATEGORIES}


def _classified(scores: Mapping[str, float], version: str, effective: Effective) -> Iterable[Finding]:
    for category, score in scores.items():
        action = effective.text(category, score)
        if action != "allow" or score >= FLAGGED:
            yield Finding(
                layer="classifier", category=category, score=score, action=action, rule="classifier",
                model_version=version,
            )  # fmt: skip


def digest(prompt: str, data_key: DataKey) -> bytes:
    return fingerprint(data_key, b"moderation.pass:" + readable(prompt).encode("utf-8", "replace"))


@lru_cache(maxsize=256)
def _own(terms: tuple[str, ...]) -> Keywords:
    return Keywords({"own": terms})
