"""A case as the queue shows it. Of what concerns minors neither the words nor a clear picture, to nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from easel.crypto import CryptoError
from easel.database import rows
from moderation import cases, complaints, policy
from moderation.categories import CATEGORIES, MINORS, UNSCREENED
from moderation.images import telling
from moderation.models import Case
from moderation.prompts import hits_in
from moderation.subjects import subjects

log = structlog.get_logger(__name__)

PAST: Final = 12  # decisions of the tenant's that are shown as dots

_HISTORY: Final = """
SELECT tenant_id, count(*) FILTER (WHERE decision = 'reject'), count(*) FILTER (WHERE decision = 'approve'),
    count(*) FILTER (WHERE status = 'open')
FROM moderation_case WHERE tenant_id = ANY(%s) AND kind <> 'second' AND id <> ALL(%s) GROUP BY tenant_id
"""
_PAST: Final = """
SELECT asked.id, c.decision, c.category, c.decided_at FROM unnest(%s::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
    SELECT decision, category, decided_at FROM moderation_case
    WHERE tenant_id = asked.id AND decision <> '' AND kind <> 'second' AND id <> ALL(%s)
    ORDER BY decided_at DESC LIMIT %s
) c
"""
_ALIKE: Final = """
SELECT phash, count(*) FROM moderation_case WHERE status = 'open' AND kind = 'held' AND phash = ANY(%s) GROUP BY phash
"""


@dataclass(frozen=True, slots=True)
class Past:
    """What was decided of a tenant before, the newest decisions last."""

    rejected: int = 0
    approved: int = 0
    waiting: int = 0
    decisions: Sequence[tuple[str, str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    case: Case
    title: str
    prompt: SafeString
    negative: str
    said: Sequence[tuple[str, str]]  # by whoever appealed or complained: about what, and the words
    more: int  # complaints beside those
    past: Past
    alike: int  # further open cases of an equal picture
    clearable: bool


def cards(found: Sequence[Case]) -> list[Card]:
    """Needs the platform role. Four statements, and what each case's subject takes."""
    past = _past({case.tenant_id for case in found}, unseen=[case.opinion_on for case in found if case.opinion_on])
    alike = dict(rows(_ALIKE, [[case.phash for case in found if telling(case.phash)]]))
    return [_card(case, past.get(case.tenant_id, Past()), int(alike.get(case.phash, 1)) - 1) for case in found]


def title_of(category: str) -> str:
    """A category in the reader's language."""
    if category in CATEGORIES:
        return _(CATEGORIES[category].title)
    return {
        UNSCREENED: _("Could not be screened"),
        "own": _("The tenant's own terms"),
        "other": _("Something else"),
    }.get(category, category)


def marked(prompt: str, terms: tuple[str, ...] = ()) -> SafeString:
    """The prompt with the parts that terms matched."""
    spans = sorted({(hit.start, hit.end) for hit in hits_in(prompt, terms) if hit.group in {*CATEGORIES, "own"}})
    parts: list[tuple[str, str]] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            parts.append((prompt[end:start], prompt[start:stop]))
            end = stop
    body = format_html_join("", "{}<mark>{}</mark>", parts)
    return format_html("{}{}", body, prompt[end:])


def _card(case: Case, past: Past, alike: int) -> Card:
    clearable = case.category != MINORS
    (prompt, negative), (said, more) = (_prompts(case), _said(case)) if clearable else (("", ""), ([], 0))
    terms = policy.effective(case.tenant_id, None).terms
    return Card(
        case=case, title=title_of(case.category), prompt=marked(prompt, terms), negative=negative, said=said, more=more,
        past=past, alike=max(0, alike), clearable=clearable,
    )  # fmt: skip


def _prompts(case: Case) -> tuple[str, str]:
    """One that cannot be opened keeps nobody from the other cases."""
    try:
        return subjects().prompts(case)
    except CryptoError:
        log.exception("cards.prompt_unreadable", case=str(case.id))
        return _("(this prompt cannot be read)"), ""


def _said(case: Case) -> tuple[list[tuple[str, str]], int]:
    if case.kind == Case.Kind.COMPLAINT:
        return complaints.said_of(case)
    try:
        text = cases.text_of(case)
    except CryptoError:
        log.exception("cards.words_unreadable", case=str(case.id))
        text = _("(these words cannot be read)")
    return ([(_("Appeal"), text)] if text else []), 0


def _past(tenants: Iterable[UUID], *, unseen: list[UUID]) -> dict[UUID, Past]:
    """Without the decisions `unseen`, on which a second opinion is asked."""
    asked = list(tenants)
    decisions: dict[UUID, list[tuple[str, str, Any]]] = {}
    for tenant_id, decision, category, at in rows(_PAST, [asked, unseen, PAST]):
        decisions.setdefault(tenant_id, []).insert(0, (decision, title_of(category), at))
    return {
        tenant_id: Past(rejected, approved, waiting, decisions.get(tenant_id, []))
        for tenant_id, rejected, approved, waiting in rows(_HISTORY, [asked, unseen])
    }
