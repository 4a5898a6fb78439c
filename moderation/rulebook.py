"""Staff's terms: none counts before it was tried out against the last prompts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import IntegrityError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from easel.database import atomic, changed
from moderation import rules
from moderation.categories import CATEGORIES
from moderation.models import Rule
from moderation.prompts import hits_in
from moderation.subjects import subjects
from moderation.text.keywords import Hit, Keywords
from moderation.text.reading import readable
from tenants import audit

LAST_PROMPTS: Final = 10_000
EXAMPLES: Final = 10
AROUND: Final = 60  # characters of an example before and after what matched
SHORTEST: Final = 2
LONGEST: Final = 100  # what the column holds


@dataclass(frozen=True, slots=True)
class Term:
    kind: str
    category: str
    term: str

    def wrong(self) -> str:
        """What is wrong with it, in words; empty: nothing."""
        if self.kind not in Rule.Kind.values:
            return _("Choose whether the term flags or allows.")
        if self.kind == Rule.Kind.FLAG and self.category not in CATEGORIES:
            return _("Choose a category.")
        if len(self.term) > LONGEST:
            return _("The term is too long.")
        if len(readable(self.term)) < SHORTEST:
            return _("The term needs two letters at the least, once disguises are undone.")
        return ""


@dataclass(slots=True)
class Tryout:
    """How often a term occurs in the last prompts, and in how many of those other terms occur already."""

    term: Term
    looked: int = 0
    matched: int = 0
    flagged: int = 0
    examples: list[SafeString] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`term` is what was typed."""

    error: str = ""
    term: Term | None = None
    tryout: Tryout | None = None
    rule: Rule | None = None


def listed() -> list[Rule]:
    return list(Rule.objects.order_by("-live", "category", "term")[:500])


def act(form: Mapping[str, str], *, who: str) -> Outcome:
    """What a form of the page asks for: to try a term out, to add it, to switch a rule or to remove it."""
    match form.get("act"):
        case "try":
            return _asked(form)
        case "add":
            return _added(form, who=who)
        case "retry" | "on" | "off" | "remove" as wanted:
            return _known(form.get("rule", ""), wanted)
        case _:
            return Outcome(_("The form did not say what to do."))


def tried(term: Term) -> Tryout:
    """Needs the platform role. Ten thousand prompts take about a second."""
    keywords = Keywords({term.category or "cover": [term.term]}, pinyin=term.kind == Rule.Kind.FLAG)
    tryout = Tryout(term)
    for prompt in subjects().last_prompts(LAST_PROMPTS):
        tryout.looked += 1
        if hits := keywords.find(prompt):
            tryout.matched += 1
            tryout.flagged += any(hit.group in CATEGORIES for hit in hits_in(prompt))
            example = _example(prompt, hits[0])
            if len(tryout.examples) < EXAMPLES and example not in tryout.examples:
                tryout.examples.append(example)
    return tryout


def _example(prompt: str, hit: Hit) -> SafeString:
    start, end = max(0, hit.start - AROUND), hit.end + AROUND
    return format_html(
        "{}{}<mark>{}</mark>{}{}", "…" if start else "", prompt[start : hit.start], prompt[hit.start : hit.end],
        prompt[hit.end : end], "…" if end < len(prompt) else "",
    )  # fmt: skip


def _read(form: Mapping[str, str]) -> Term:
    kind = form.get("kind", Rule.Kind.FLAG)
    return Term(kind, form.get("category", "") if kind == Rule.Kind.FLAG else "", form.get("term", "").strip())


def _asked(form: Mapping[str, str]) -> Outcome:
    term = _read(form)
    error = term.wrong()
    return Outcome(error, term, None if error else tried(term))


def _added(form: Mapping[str, str], *, who: str) -> Outcome:
    """Switched off, and with its try-out on record: to switch it on is a step of its own."""
    term = _read(form)
    if error := term.wrong():
        return Outcome(error, term)
    tryout = tried(term)
    try:
        with atomic():
            rule = Rule.objects.create(kind=term.kind, category=term.category, term=term.term, created_by=who)
            _note(rule, tryout)
            _record("rule_added", rule, matched=tryout.matched, looked=tryout.looked)
    except IntegrityError:
        return Outcome(_("This rule exists already."), term)
    return Outcome()


def _known(rule_id: str, wanted: str) -> Outcome:
    rule = _find(rule_id)
    if rule is None:
        return Outcome(_("There is no such rule."))
    if wanted == "retry":
        tryout = tried(Term(rule.kind, rule.category, rule.term))
        _note(rule, tryout)
        return Outcome(term=tryout.term, tryout=tryout, rule=rule)
    if wanted == "remove":
        return _removed(rule)
    return _switched(rule, live=wanted == "on")


def _switched(rule: Rule, *, live: bool) -> Outcome:
    if live and rule.tried_at is None:
        return Outcome(_("Try the rule out before it counts."))
    with atomic():
        if changed("UPDATE moderation_rule SET live = %s WHERE id = %s AND live <> %s", [live, rule.id, live]):
            _record("rule_switched", rule, live=live)
    rules.forget()
    return Outcome()


def _removed(rule: Rule) -> Outcome:
    with atomic():
        if not changed("DELETE FROM moderation_rule WHERE id = %s AND NOT live", [rule.id]):
            return Outcome(_("Switch the rule off before you remove it."))
        _record("rule_removed", rule)
    return Outcome()


def _note(rule: Rule, tryout: Tryout) -> None:
    changed(
        "UPDATE moderation_rule SET tried_at = now(), tried_looked = %s, tried_matched = %s WHERE id = %s",
        [tryout.looked, tryout.matched, rule.id],
    )


def _find(rule_id: str) -> Rule | None:
    try:
        return Rule.objects.filter(id=UUID(rule_id)).first()
    except ValueError:
        return None


def _record(action: str, rule: Rule, **details: object) -> None:
    said = {"kind": rule.kind, "category": rule.category, **details}
    audit.record(f"moderation.{action}", tenant_id=None, object_kind="rule", object_id=rule.id, details=said)
