"""The platform's policy: the version that counts, a form for the next one, and all that were."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from moderation import policy as policies
from moderation import policy_editor
from moderation.cards import title_of
from moderation.categories import CATEGORIES
from moderation.models import Policy
from moderation.policy import BLOCK, NEVER
from moderation.policy_editor import BOUNDS, Refused
from moderation.staff import moderator_of, moderator_page


@moderator_page
@require_http_methods(["GET", "POST"])
def policy(request: HttpRequest) -> HttpResponse:
    error, version = "", 0
    if request.method == "POST":
        try:
            version = policy_editor.publish(policy_editor.read(request.POST), who=moderator_of(request).email)
        except Refused as refusal:
            error = str(refusal)
        else:
            messages.success(request, _("Version %(version)s counts from now on.") % {"version": version})
            return redirect("moderation-policy")
    version, shadow, thresholds = policies.platform()
    old = _older(request.GET.get("from", ""))
    given = _typed(request.POST.dict(), version) if error else {}
    shown = {**policies.defaults(), **old.categories} if old else thresholds
    context: dict[str, Any] = {
        "version": version, "shadow": given.get("shadow") == "1" if error else (old.shadow if old else shadow),
        "live_shadow": shadow, "old": old, "error": error, "note": given.get("note", ""),
        "table": [_row(category, shown, thresholds, given) for category in CATEGORIES],
        "versions": policy_editor.versions(),
    }  # fmt: skip
    return render(request, "moderation/policy.html", context, status=400 if error else 200)


def _typed(form: dict[str, str], version: int) -> dict[str, str]:
    """What a refused form holds. Where another version came between, of the bounds only those that its author changed:
    what they left alone is the newest version's, and is not put back by sending the form again."""
    seen = _older(form.get("based_on", ""))
    if seen is None or seen.version == version:
        return form
    before = {**policies.defaults(), **seen.categories}
    left_alone = {
        f"{category}.{bound}": _said(before.get(category, BLOCK)[bound]) for category in CATEGORIES for bound in BOUNDS
    }
    return {name: value for name, value in form.items() if value.strip() != left_alone.get(name)}


def _row(category: str, shown: Any, live: Any, given: Any) -> dict[str, Any]:
    """One category's four fields: what was typed, or else what is shown; and whether that is not what counts now."""
    fields = []
    for bound in BOUNDS:
        name, value = f"{category}.{bound}", _said(shown.get(category, BLOCK)[bound])
        typed = given.get(name, value)
        fields.append({"name": name, "bound": bound, "value": typed,
                       "changed": typed != _said(live.get(category, BLOCK)[bound])})  # fmt: skip
    return {"category": category, "title": title_of(category), "fields": fields}


def _said(bound: float) -> str:
    return "" if bound >= NEVER else f"{bound:g}"


def _older(asked: str) -> Policy | None:
    if not asked.isdecimal() or len(asked) > 5:
        return None
    found = Policy.objects.filter(version=int(asked)).first()
    return found or (Policy(version=1, categories=policies.defaults(), shadow=False) if int(asked) == 1 else None)
