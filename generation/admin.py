"""Staff's view of the work. Prompts stay sealed here: the row shows what was asked for, not the words."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from generation import availability, trends
from generation.models import Flow, Generation, Image, Model, ModelAccess, Pool, RouteOverride
from moderation.staff import is_moderator
from tenants import staff_navigation, staff_words
from tenants.staff_navigation import Entry, anybody
from tenants.staff_records import OnRecord
from tenants.staff_site import LookedAt, NewestOnes

staff_navigation.add_tables(
    "work",
    (Generation, _("generation"), _("generations")),
    (Image, _("image"), _("images")),
    (Pool, _("pool"), _("pools")),
    (Model, _("model"), _("models")),
    (ModelAccess, _("access to a model"), _("access to models")),
    (RouteOverride, _("route of a tenant"), _("routes of tenants")),
)
staff_words.call(Flow, _("flow of a tenant"), _("flows of tenants"))
staff_navigation.add(
    Entry("now", 10, "staff-status", _("Status"), anybody),
    Entry("now", 20, "staff-status", _("Breakers"), anybody, anchor="#breakers"),
    Entry("now", 30, "admin:generation_model_trends", _("Quality and latency"), staff_navigation.may_view(Model)),
    Entry("now", 40, "moderation-queue", _("Moderation"), is_moderator),
    Entry("work", 10, "admin:generation_flow_changelist", _("Queue"), staff_navigation.may_view(Flow)),
)


@admin.register(Model)
class ModelAdmin(OnRecord[Model]):
    list_display = (
        "name", "title", "pool", "version", "enabled", "is_default", "restricted", "retired_at", "fallback", "breaker",
        "tenant",
    )  # fmt: skip
    list_select_related = ("pool", "tenant", "fallback")
    list_filter = ("enabled", "restricted", ("pool", NewestOnes))
    search_fields = ("name", "title", "pool__name")
    readonly_fields = ("digest", "created_at", "license_accepted_at", "license_accepted_by", "breaker")
    actions = ("close_breakers",)
    change_list_template = "admin/generation/model_list.html"

    def get_urls(self) -> list[URLPattern]:
        own = path("trends/", self.admin_site.admin_view(self.trends), name="generation_model_trends")
        return [own, *super().get_urls()]

    def trends(self, request: HttpRequest) -> HttpResponse:
        """Quality and times of each version, day by day."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("days", "")
        days = int(asked) if asked.isdecimal() and int(asked) in trends.DAYS else trends.DAYS[1]
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Quality and latency of the models"), "opts": self.opts,
            "days": days, "choices": trends.DAYS, "trends": trends.by_day(days),
        }  # fmt: skip
        return TemplateResponse(request, "admin/generation/trends.html", context)

    @admin.display(description=_("version"))
    def version(self, model: Model) -> str:
        return model.version

    @admin.display(description=_("breaker"))
    def breaker(self, model: Model) -> str:
        """Whether it is left alone, and until when it is tried again."""
        state = availability.breaker_of(model.id).state()
        if not state.open:
            return gettext("closed")
        if state.wait:
            return gettext("open, tried in %(seconds)d s") % {"seconds": round(state.wait)}
        return gettext("open, due to be tried")

    @admin.action(description=_("Close the breaker: try the model again at once"), permissions=["change"])
    def close_breakers(self, request: HttpRequest, models_: models.QuerySet[Model]) -> None:
        for model in models_:
            availability.close(model)


@admin.register(Generation)
class GenerationAdmin(LookedAt[Generation]):
    list_display = ("id", "tenant", "model", "status", "attempts", "credits", "created_at", "finished_at")
    list_select_related = ("tenant", "model")
    list_filter = ("status", ("model", NewestOnes))
    search_fields = ("id", "request_id", "tenant__name", "model__name")
    exclude = ("prompt_sealed", "negative_prompt_sealed")
    ordering = ("-id",)


@admin.register(Image)
class ImageAdmin(LookedAt[Image]):
    list_display = ("id", "tenant", "generation_id", "index", "width", "height", "bytes", "released_at")
    list_select_related = ("tenant",)
    search_fields = ("id", "generation__id")
    ordering = ("-id",)


@admin.register(Flow)
class FlowAdmin(LookedAt[Flow]):
    list_display = ("tenant", "pool", "queued", "running", "cap", "weight", "vtime")
    list_select_related = ("tenant", "pool")
    list_filter = (("pool", NewestOnes),)
    search_fields = ("tenant__name", "pool__name")


@admin.register(Pool)
class PoolAdmin(LookedAt[Pool]):
    """Pools are made with their models (`manage.py models add`); how busy they are is on the status page."""

    list_display = ("name", "queued", "running", "work_per_second", "measured_at", "model_names")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Pool]:
        flows = Flow.objects.filter(pool=models.OuterRef("pk")).values("pool")

        def total(column: str) -> models.Subquery:
            return models.Subquery(flows.annotate(total=models.Sum(column)).values("total"))

        found: models.QuerySet[Pool] = super().get_queryset(request).prefetch_related("model_set")
        return found.annotate(queued=total("queued"), running=total("running"))

    @admin.display(description=_("waiting"))
    def queued(self, pool: Any) -> int:
        return pool.queued or 0

    @admin.display(description=_("running"))
    def running(self, pool: Any) -> int:
        return pool.running or 0

    @admin.display(description=_("models"))
    def model_names(self, pool: Pool) -> str:
        return ", ".join(model.name for model in pool.model_set.all() if model.enabled) or "-"


@admin.register(ModelAccess)
class ModelAccessAdmin(LookedAt[ModelAccess]):
    """Which tenants may use a restricted model; `manage.py models` gives and takes it."""

    list_display = ("model", "tenant", "created_at")
    list_select_related = ("model", "tenant")
    search_fields = ("model__name", "tenant__name")


@admin.register(RouteOverride)
class RouteOverrideAdmin(LookedAt[RouteOverride]):
    """What tenants chose for "auto"; they change it over the API."""

    list_display = ("tenant", "category", "model", "created_at")
    list_select_related = ("tenant", "model")
    list_filter = ("category",)
