"""Staff's terms: tried out against the last prompts before they count."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import IntegrityError

from easel.database import atomic
from moderation import cases, rules
from moderation.categories import CATEGORIES
from moderation.models import Rule
from moderation.text.keywords import Keywords
from moderation.text.reading import readable
from tenants import audit

LAST_PROMPTS: Final = 10_000
EXAMPLES: Final = 10
SHORTEST: Final = 2


def listed() -> list[Rule]:
    return list(Rule.objects.order_by("-live", "category", "term")[:500])


def act(form: Mapping[str, str], *, who: str) -> dict[str, Any]:
    """One of try, add, switch; what the page then says."""
    match form.get("act"):
        case "try":
            return _tried(form)
        case "add":
            return _added(form, who=who)
        case "switch":
            return _switched(form)
        case _:
            return {"error": "act: try, add or switch."}


def _read(form: Mapping[str, str]) -> tuple[str, str, str]:
    return form.get("kind", "flag"), form.get("category", ""), form.get("term", "").strip()


def _wrong(kind: str, category: str, term: str) -> str:
    if kind not in {"flag", "allow"}:
        return "kind: flag or allow."
    if kind == "flag" and category not in CATEGORIES:
        return "category: one of the list."
    if len(readable(term)) < SHORTEST:
        return f"term: at least {SHORTEST} letters, once disguises are undone."
    return ""


def _tried(form: Mapping[str, str]) -> dict[str, Any]:
    """How many of the last prompts the term matches, and how many of those were stopped already."""
    kind, category, term = _read(form)
    if error := _wrong(kind, category, term):
        return {"error": error}
    keywords = Keywords({category or "allow it": [term]}, pinyin=kind == "flag")
    looked, matched = 0, 0
    examples: list[str] = []
    for prompt in cases.subjects().last_prompts(LAST_PROMPTS):
        looked += 1
        if keywords.find(prompt):
            matched += 1
            if len(examples) < EXAMPLES:
                examples.append(prompt[:200])
    return {"tried": {"term": term, "category": category, "kind": kind, "looked": looked, "matched": matched,
                      "examples": examples}}  # fmt: skip


def _added(form: Mapping[str, str], *, who: str) -> dict[str, Any]:
    kind, category, term = _read(form)
    if error := _wrong(kind, category, term):
        return {"error": error}
    try:
        with atomic():
            rule = Rule.objects.create(
                kind=kind, category=category if kind == "flag" else "", term=term, created_by=who
            )
            audit.record("moderation.rule_added", tenant_id=None, object_kind="rule", object_id=rule.id)
    except IntegrityError:
        return {"error": "This rule exists already."}
    return {}


def _switched(form: Mapping[str, str]) -> dict[str, Any]:
    wanted = form.get("rule")
    rule = Rule.objects.filter(id=wanted).first() if wanted else None
    if rule is None:
        return {"error": "There is no such rule."}
    with atomic():
        Rule.objects.filter(id=rule.id).update(live=not rule.live)
        audit.record(
            "moderation.rule_switched", tenant_id=None, object_kind="rule", object_id=rule.id,
            details={"live": not rule.live},
        )  # fmt: skip
    rules.forget()
    return {}
