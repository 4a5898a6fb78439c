"""The staff's admin, drawn by django-unfold inside our own frame (`templates/unfold/`), under the same Content Security
Policy as every other page: its scripts run on the build of Alpine that evaluates nothing (docs/adr/0012)."""

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from django.contrib.admin import ModelAdmin as PlainModelAdmin
from django.contrib.admin import RelatedFieldListFilter
from django.db.models import Field, Model
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext_lazy as _

from tenants import navigation, staff_navigation

if TYPE_CHECKING:  # unfold has no types; it is Django's admin with other templates and widgets
    from django.contrib.admin import AdminSite as UnfoldAdminSite
    from django.contrib.admin import ModelAdmin as UnfoldModelAdmin
else:
    from unfold.admin import ModelAdmin as UnfoldModelAdmin
    from unfold.sites import UnfoldAdminSite

Row = TypeVar("Row", bound=Model)
LEFT_OUT: Final = frozenset({"search"})  # unfold's search for tables: the navigation names them all


class StaffSite(UnfoldAdminSite):
    site_header = site_title = _("Easel staff")
    index_title = _("All tables")
    site_url = None

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [each for each in super().get_urls() if getattr(each, "name", "") not in LEFT_OUT]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """With the theme of the console's cookie, and without what only unfold's own frame would show."""
        shell = {"theme": navigation.theme_of(request), "staff_navigation": staff_navigation.sections(request)}
        titles = {"site_title": self.site_title, "site_header": self.site_header, "site_url": None}
        return {**super().each_context(request), **titles, **shell}


class NewestOnes(RelatedFieldListFilter):
    """A filter by what there may be hundreds of: it offers the newest, so that the page stays light. The search finds
    the others."""

    MOST: Final = 30

    def field_choices(
        self, field: Field[Any, Any], request: HttpRequest, model_admin: PlainModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        related = cast(type[Model], field.related_model)
        newest = related._default_manager.order_by("-pk")[: self.MOST]
        return sorted(((str(row.pk), str(row)) for row in newest), key=lambda choice: choice[1])


class Table(UnfoldModelAdmin[Row]):
    """What the staff's tables have in common."""

    list_per_page = 50
    list_fullwidth = True
    list_filter_submit = False


class LookedAt(Table[Row]):
    """Rows that only the code may change."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False
