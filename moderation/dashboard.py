"""The queue that moderators work in: a batch of cases is theirs alone, the keyboard decides, ten seconds undo."""

import io
import json
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST
from PIL import Image, ImageFilter

from moderation import cases, rulebook, statistics
from moderation.cases import REASONS, Wanted
from moderation.categories import CATEGORIES, MINORS
from moderation.models import Case
from moderation.prompts import hits_in
from moderation.staff import moderator_of, moderator_page
from tenants import audit

BATCH: Final = 10
THUMBNAIL: Final = 24  # pixels: enough to tell a landscape from a portrait, no more


@moderator_page
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    context = {"categories": CATEGORIES, "reasons": REASONS, "wanted": request.GET, "kinds": Case.Kind.values}
    return render(request, "moderation/queue.html", context)


@moderator_page
@require_POST
def batch(request: HttpRequest) -> HttpResponse:
    """The next cases, claimed for whoever asks."""
    found = cases.claim(moderator_of(request).email, wanted_of(request), limit=BATCH)
    return render(request, "moderation/batch.html", {"cases": [shown(case) for case in found], "reasons": REASONS})


@moderator_page
@require_POST
def decide(request: HttpRequest, case_id: UUID) -> HttpResponse:
    decision, reason = request.POST.get("decision"), request.POST.get("reason") or "policy"
    if decision not in {"approve", "reject"} or reason not in REASONS:
        return JsonResponse({"detail": "decision: approve or reject; reason: one of the list."}, status=400)
    who = moderator_of(request).email
    approved, alike = decision == "approve", request.POST.get("alike") == "1"
    decided = cases.decide(case_id, who=who, approved=approved, reason=reason, alike=alike)
    return _answer(bool(decided), decided=[str(each) for each in decided])


@moderator_page
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    try:
        wanted = [UUID(each) for each in json.loads(request.POST.get("cases", "[]"))]
    except (ValueError, TypeError):
        return JsonResponse({"detail": "cases: a list of ids."}, status=400)
    count = cases.undo(wanted, who=moderator_of(request).email)
    return _answer(count > 0, undone=count)


@moderator_page
@require_POST
def escalate(request: HttpRequest, case_id: UUID) -> HttpResponse:
    return _answer(cases.escalate(case_id, who=moderator_of(request).email))


@moderator_page
@require_POST
def add_note(request: HttpRequest, case_id: UUID) -> HttpResponse:
    text = request.POST.get("text", "").strip()
    return _answer(bool(text) and cases.note(case_id, text, who=moderator_of(request).email))


@moderator_page
@require_GET
def picture(request: HttpRequest, case_id: UUID) -> HttpResponse:
    """Blurred, unless somebody who holds the case asks for it. What concerns minors is never clear."""
    case = Case.objects.filter(id=case_id).first()
    data = cases.subjects().picture(case) if case else None
    if case is None or data is None:
        raise Http404
    if request.GET.get("clear") == "1":
        who = moderator_of(request).email
        if case.category == MINORS or case.claimed_by != who:
            return HttpResponse(status=403)
        audit.record("moderation.seen", tenant_id=case.tenant_id, object_kind="case", object_id=case.id)
    else:
        data = blurred(data)
    response = HttpResponse(data, content_type=Image.MIME[str(Image.open(io.BytesIO(data)).format)])
    response["Cache-Control"] = "private, no-store"
    return response


@moderator_page
@require_GET
def numbers(request: HttpRequest) -> HttpResponse:
    return render(request, "moderation/statistics.html", {"figures": statistics.figures()})


@moderator_page
def rules(request: HttpRequest) -> HttpResponse:
    """Terms of staff's own: tried out first, then switched on or off."""
    context: dict[str, Any] = {"categories": CATEGORIES}
    if request.method == "POST":
        context |= rulebook.act(request.POST, who=moderator_of(request).email)
    return render(request, "moderation/rules.html", context | {"rules": rulebook.listed()})


def blurred(data: bytes) -> bytes:
    """A small JPEG with nothing of the original but its colors."""
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        scaled = small.resize((small.width * 8, small.height * 8)).filter(ImageFilter.GaussianBlur(6))
    file = io.BytesIO()
    scaled.save(file, "jpeg", quality=60)
    return file.getvalue()


def wanted_of(request: HttpRequest) -> Wanted:
    def number(name: str) -> float:
        try:
            return max(0.0, float(request.POST.get(name) or 0))
        except ValueError:
            return 0.0

    return Wanted(
        layer=request.POST.get("layer", ""),
        category=request.POST.get("category", ""),
        kind=request.POST.get("kind", ""),
        tenant=request.POST.get("tenant", "").strip(),
        least_score=number("score"),
        older_than_minutes=int(min(number("age"), 1e6)),
        escalated=request.POST.get("escalated") == "1",
    )


def shown(case: Case) -> dict[str, Any]:
    """A case as the page shows it. Of what concerns minors, neither the words nor a clear picture."""
    prompt, negative = ("", "") if case.category == MINORS else cases.subjects().prompts(case)
    history = statistics.history(case.tenant_id)
    return {
        "case": case, "prompt": marked(prompt), "negative": negative, "history": history,
        "text": cases.text_of(case), "clearable": case.category != MINORS,
    }  # fmt: skip


def marked(prompt: str) -> SafeString:
    """The prompt with the parts that terms matched."""
    spans = sorted({(hit.start, hit.end) for hit in hits_in(prompt) if hit.group in CATEGORIES})
    parts: list[tuple[str, str]] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            parts.append((prompt[end:start], prompt[start:stop]))
            end = stop
    body = format_html_join("", "{}<mark>{}</mark>", parts)
    return format_html("{}{}", body, prompt[end:])


def _answer(done: bool, **fields: Any) -> JsonResponse:
    """409 for what is somebody else's, or too late."""
    return JsonResponse({"done": done, **fields}, status=200 if done else 409)


urlpatterns = [
    path("moderation/", queue, name="moderation-queue"),
    path("moderation/batch", batch, name="moderation-batch"),
    path("moderation/undo", undo, name="moderation-undo"),
    path("moderation/statistics", numbers, name="moderation-statistics"),
    path("moderation/rules", rules, name="moderation-rules"),
    path("moderation/cases/<uuid:case_id>/decide", decide, name="moderation-decide"),
    path("moderation/cases/<uuid:case_id>/escalate", escalate, name="moderation-escalate"),
    path("moderation/cases/<uuid:case_id>/note", add_note, name="moderation-note"),
    path("moderation/cases/<uuid:case_id>/picture", picture, name="moderation-picture"),
]
