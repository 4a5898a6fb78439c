"""Staff's view of the work. Prompts stay sealed here: the row shows what was asked for, not the words."""

from typing import TypeVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from generation.models import Flow, Generation, Image, Model, Pool

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
    list_display = ("name", "title", "pool", "version", "enabled", "is_default", "tenant")
    list_select_related = ("pool", "tenant")
    list_filter = ("enabled", "pool")
    search_fields = ("name", "title")
    readonly_fields = ("digest", "created_at")


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


admin.site.register(Pool)
