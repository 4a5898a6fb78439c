"""Staff's page beside the admin: how the platform stands now."""

from datetime import UTC, datetime

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from generation import availability, platform_figures
from generation.availability import PREFIX
from generation.models import Model
from tenants import staff_words


@require_GET
def status_page(request: HttpRequest) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": _("Status"),
        "platform": platform_figures.platform(),
        "status_names": staff_words.CHOICES,
        "pools": platform_figures.pools(),
        "workers": platform_figures.workers(),
        "breakers": platform_figures.breakers(),
        "services": platform_figures.services(),
        "now": datetime.now(UTC),
    }
    return render(request, "staff/status.html", context)


@require_POST
def close_breaker(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("name", "")
    if not request.user.has_perm("generation.change_model"):
        messages.error(request, _("You may not change models."))
        return redirect("staff-status")
    model = Model.objects.filter(id=wanted.removeprefix(PREFIX)).first() if wanted in _open() else None
    if model is None:
        messages.error(request, _("No model's breaker of that name is open."))
        return redirect("staff-status")
    availability.close(model)
    messages.success(request, _("It is tried again at once."))
    return redirect("staff-status")


def _open() -> set[str]:
    return {each.name for _name, each in platform_figures.breakers() or [] if each.name.startswith(PREFIX)}


urlpatterns = [
    path("status/", admin.site.admin_view(status_page), name="staff-status"),
    path("status/breakers/close", admin.site.admin_view(close_breaker), name="staff-close-breaker"),
]
