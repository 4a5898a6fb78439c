"""The rules editor: staff's own terms, tried out before they count."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from moderation import rulebook
from moderation.cards import title_of
from moderation.categories import CATEGORIES
from moderation.staff import moderator_of, moderator_page


@moderator_page
@require_http_methods(["GET", "POST"])
def rules(request: HttpRequest) -> HttpResponse:
    outcome = None
    if request.method == "POST":
        outcome = rulebook.act(request.POST, who=moderator_of(request).email)
        if not outcome.error and outcome.tryout is None:
            return redirect("moderation-rules")
    context: dict[str, Any] = {
        "categories": [(name, title_of(name)) for name in CATEGORIES],
        "rules": [(rule, title_of(rule.category)) for rule in rulebook.listed()],
        "outcome": outcome,
    }
    return render(request, "moderation/rules.html", context, status=400 if outcome and outcome.error else 200)
