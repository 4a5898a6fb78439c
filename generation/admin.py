"""Staff's view of the work. Prompts stay sealed here: the row shows what was asked for, not the words."""

from typing import Any, TypeVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from generation import availability, trends
from generation.models import Flow, Generation, Image, Model, ModelAccess, Pool, RouteOverride

Row = TypeVar("Row", bound=models.Model)


class ReadOnly(admin.ModelAdmin[Row]):
    """Rows that only the code may change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False


@admin.register(Model)
class ModelAdmin(admin.ModelAdmin[Model]):
    list_display = (
        "name", "title", "pool", "version", "enabled", "is_default", "restricted", "retired_at", "fallback", "breaker",
        "tenant",
    )  # fmt: skip
    list_select_related = ("pool", "tenant", "fallback")
    list_filter = ("enabled", "restricted", "pool")
    search_fields = ("name", "title")
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
            "title": _("Quality and latency of the models"), "opts": self.opts, "days": days, "choices": trends.DAYS,
            "trends": trends.by_day(days),
        }  # fmt: skip
        return TemplateResponse(request, "admin/generation/trends.html", context)

    @admin.display(description="breaker")
    def breaker(self, model: Model) -> str:
        """Whether it is left alone, and until when it is tried again."""
        state = availability.breaker_of(model.id).state()
        if not state.open:
            return "closed"
        return f"open, tried in {state.wait:.0f} s" if state.wait else "open, due to be tried"

    @admin.action(description="Close the breaker: try the model again at once", permissions=["change"])
    def close_breakers(self, request: HttpRequest, models_: models.QuerySet[Model]) -> None:
        for model in models_:
            availability.breaker_of(model.id).reset()


@admin.register(Generation)
class GenerationAdmin(ReadOnly[Generation]):
    list_display = ("id", "tenant", "model", "status", "attempts", "credits", "created_at", "finished_at")
    list_select_related = ("tenant", "model")
    list_filter = ("status", "model")
    search_fields = ("id", "request_id", "tenant__name")
    exclude = ("prompt_sealed", "negative_prompt_sealed")
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Image)
class ImageAdmin(ReadOnly[Image]):
    list_display = ("id", "tenant", "generation_id", "index", "width", "height", "bytes", "released_at")
    list_select_related = ("tenant",)
    search_fields = ("id", "generation__id")
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Flow)
class FlowAdmin(ReadOnly[Flow]):
    list_display = ("tenant", "pool", "queued", "running", "cap", "weight", "vtime")
    list_select_related = ("tenant", "pool")
    list_filter = ("pool",)


@admin.register(Pool)
class PoolAdmin(ReadOnly[Pool]):
    """Pools are made with their models (`manage.py models add`); how busy they are is on the status page."""

    list_display = ("name", "queued", "running", "work_per_second", "measured_at", "model_names")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Pool]:
        flows = Flow.objects.filter(pool=models.OuterRef("pk")).values("pool")

        def total(column: str) -> models.Subquery:
            return models.Subquery(flows.annotate(total=models.Sum(column)).values("total"))

        found: models.QuerySet[Pool] = super().get_queryset(request).prefetch_related("model_set")
        return found.annotate(queued=total("queued"), running=total("running"))

    @admin.display(description="queued")
    def queued(self, pool: Any) -> int:
        return pool.queued or 0

    @admin.display(description="running")
    def running(self, pool: Any) -> int:
        return pool.running or 0

    @admin.display(description="models")
    def model_names(self, pool: Pool) -> str:
        return ", ".join(model.name for model in pool.model_set.all() if model.enabled) or "-"


@admin.register(ModelAccess)
class ModelAccessAdmin(ReadOnly[ModelAccess]):
    """Which tenants may use a restricted model; `manage.py models` gives and takes it."""

    list_display = ("model", "tenant", "created_at")
    list_select_related = ("model", "tenant")
    search_fields = ("model__name", "tenant__name")


@admin.register(RouteOverride)
class RouteOverrideAdmin(ReadOnly[RouteOverride]):
    """What tenants chose for "auto"; they change it over the API."""

    list_display = ("tenant", "category", "model", "created_at")
    list_select_related = ("tenant", "model")
    list_filter = ("category",)
