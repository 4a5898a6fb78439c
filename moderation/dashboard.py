"""The queue that moderators work in: a batch of cases is theirs alone, the keyboard decides, ten seconds undo."""

import json
from typing import Any, Final
from uuid import UUID

import structlog
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from easel.crypto import CryptoError
from moderation import cases, policy_pages, rules_pages, statistics
from moderation.blurring import blurred, content_type
from moderation.cards import cards, title_of
from moderation.cases import REASONS, Wanted
from moderation.categories import CATEGORIES, MINORS
from moderation.models import Case, Verdict
from moderation.staff import has_colleagues, moderator_of, moderator_page
from moderation.subjects import subjects
from tenants import audit

BATCH: Final = 10
log = structlog.get_logger(__name__)


@moderator_page
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """The page without a case: the script asks for them, as the filters in the address say."""
    context = {
        "categories": [(name, title_of(name)) for name in CATEGORIES], "kinds": kinds(), "layers": layers(),
        "tenants": statistics.tenants_waiting(), "reasons": REASONS, "wanted": request.GET, "words": words(),
        "batch": BATCH,
    }  # fmt: skip
    return render(request, "moderation/queue.html", context)


@moderator_page
@require_POST
def batch(request: HttpRequest) -> HttpResponse:
    """The next cases, claimed for whoever asks."""
    wanted, who = wanted_of(request), moderator_of(request).email
    found = cases.claim(who, wanted, limit=BATCH)
    context = {
        "cards": cards(found), "reasons": REASONS, "kinds": dict(kinds()), "layers": dict(layers()),
        "waiting": cases.waiting(who, wanted),
    }  # fmt: skip
    return render(request, "moderation/batch.html", context)


@moderator_page
@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """Whoever still looks at a batch keeps it. Says which cases are still theirs."""
    held = cases.renew(_ids(request), who=moderator_of(request).email)
    return JsonResponse({"held": [str(each) for each in held]})


@moderator_page
@require_POST
def give_back(request: HttpRequest) -> HttpResponse:
    """The page is left: what was not decided is for others at once."""
    return JsonResponse({"released": cases.release_claims(moderator_of(request).email)})


@moderator_page
@require_POST
def decide(request: HttpRequest, case_id: UUID) -> HttpResponse:
    decision = request.POST.get("decision")
    reason = request.POST.get("reason") or ("harmless" if decision == "approve" else "policy")
    if decision not in {"approve", "reject"} or reason not in REASONS:
        return JsonResponse({"detail": "decision: approve or reject; reason: one of the list."}, status=400)
    who = moderator_of(request).email
    approved, alike = decision == "approve", request.POST.get("alike") == "1"
    decided = cases.decide(case_id, who=who, approved=approved, reason=reason, alike=alike)
    return _answer(bool(decided), decided=[str(each) for each in decided])


@moderator_page
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    undone = cases.undo(_ids(request), who=moderator_of(request).email)
    return _answer(bool(undone), undone=[str(each) for each in undone])


@moderator_page
@require_POST
def escalate(request: HttpRequest, case_id: UUID) -> HttpResponse:
    who = moderator_of(request).email
    if not has_colleagues(who):
        return _answer(False, detail=_("There is no other moderator who could decide it."))
    if Case.objects.filter(id=case_id, kind=Case.Kind.SECOND).exists():
        return _answer(False, detail=_("A second opinion is for nobody else to decide."))
    return _answer(cases.escalate(case_id, who=who))


@moderator_page
@require_POST
def add_note(request: HttpRequest, case_id: UUID) -> HttpResponse:
    text, who = request.POST.get("text", "").strip(), moderator_of(request).email
    return _answer(bool(text) and cases.note(case_id, text, who=who), by=who)


@moderator_page
@require_GET
def picture(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Blurred, unless somebody who holds the case asks for it. What concerns minors is never clear.

    The clear picture is sent ahead, to be there when it is asked for: on record is that it was sent.
    """
    case, clear = Case.objects.filter(id=case_id).first(), request.GET.get("clear") == "1"
    if case is None:
        raise Http404
    if clear and (case.category == MINORS or not cases.holds(case, who=moderator_of(request).email)):
        return HttpResponse(status=403)
    try:
        data = subjects().picture(case)
    except CryptoError as error:
        log.exception("moderation.picture_unreadable", case=str(case.id))
        raise Http404 from error
    if data is None:
        raise Http404
    if clear:
        audit.record("moderation.picture_sent", tenant_id=case.tenant_id, object_kind="case", object_id=case.id)
    else:
        data = blurred(data)
    response = HttpResponse(data, content_type=content_type(data))
    response["Cache-Control"] = "private, no-store" if clear else "private, max-age=600"
    return response


@moderator_page
@require_GET
def numbers(request: HttpRequest) -> HttpResponse:
    return render(request, "moderation/statistics.html", {"figures": statistics.figures(), "kinds": dict(kinds())})


def kinds() -> list[tuple[str, str]]:
    named = {
        Case.Kind.HELD: _("held"), Case.Kind.APPEAL: _("appeal"), Case.Kind.COMPLAINT: _("complaint"),
        Case.Kind.SECOND: _("second opinion"),
    }  # fmt: skip
    return [(str(kind), title) for kind, title in named.items()]


def layers() -> list[tuple[str, str]]:
    named = {
        Verdict.Layer.KEYWORDS: _("terms"), Verdict.Layer.CLASSIFIER: _("classifier"),
        Verdict.Layer.PREVIEW: _("preview"), Verdict.Layer.IMAGE: _("picture"), Verdict.Layer.HASH: _("likeness"),
    }  # fmt: skip
    return [(str(layer), title) for layer, title in named.items()]


def words() -> dict[str, str]:
    """What the script says, in the reader's language."""
    return {
        "approve": _("approved"), "reject": _("rejected"), "escalate": _("escalated"),
        "lost": _("somebody else's by now"), "nothing": _("Nothing waits here."),
        "undone": _("Taken back."), "late": _("Too late to take it back."),
        "noUndo": _("There is nothing to take back."), "noted": _("Noted."),
        "failed": _("That did not work. Is the connection there?"),
        "loading": _("Loading…"), "unblur": _("Show the picture"), "blur": _("Blur the picture"),
        "noPicture": _("no picture"), "undo": _("take it back"), "decided": _("decided"),
    }  # fmt: skip


def wanted_of(request: HttpRequest) -> Wanted:
    def number(name: str) -> float:
        try:
            return min(max(0.0, float(request.POST.get(name) or 0)), 1e6)
        except ValueError:
            return 0.0

    return Wanted(
        layer=request.POST.get("layer", ""),
        category=request.POST.get("category", ""),
        kind=request.POST.get("kind", ""),
        tenant=request.POST.get("tenant", "").strip(),
        least_score=number("score"),
        older_than_minutes=int(number("age")),
        escalated=request.POST.get("escalated") == "1",
    )


def _ids(request: HttpRequest) -> list[UUID]:
    """What is no id names no case."""
    try:
        return [UUID(str(each)) for each in json.loads(request.POST.get("cases", "[]"))]
    except (ValueError, TypeError):
        return []


def _answer(done: bool, **fields: Any) -> JsonResponse:
    """409 for what is somebody else's, or too late."""
    return JsonResponse({"done": done, **fields}, status=200 if done else 409)


urlpatterns = [
    path("moderation/", queue, name="moderation-queue"),
    path("moderation/batch", batch, name="moderation-batch"),
    path("moderation/keep", keep, name="moderation-keep"),
    path("moderation/give-back", give_back, name="moderation-give-back"),
    path("moderation/undo", undo, name="moderation-undo"),
    path("moderation/statistics", numbers, name="moderation-statistics"),
    path("moderation/rules", rules_pages.rules, name="moderation-rules"),
    path("moderation/policy", policy_pages.policy, name="moderation-policy"),
    path("moderation/cases/<uuid:case_id>/decide", decide, name="moderation-decide"),
    path("moderation/cases/<uuid:case_id>/escalate", escalate, name="moderation-escalate"),
    path("moderation/cases/<uuid:case_id>/note", add_note, name="moderation-note"),
    path("moderation/cases/<uuid:case_id>/picture", picture, name="moderation-picture"),
]
