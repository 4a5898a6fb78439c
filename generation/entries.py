"""The console's pages about pictures and models."""

from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.navigation import Entry

ENTRIES: Final = (
    Entry("create", 10, "console", _("Home"), "house"),
    Entry("create", 20, "playground", _("Playground"), "wand-sparkles", "pictures.make"),
    Entry("develop", 5, "first-steps", _("First steps"), "rocket", "keys.manage"),
    Entry("create", 30, "gallery", _("Gallery"), "images", within=frozenset({"gallery-detail"})),
    Entry("create", 40, "live", pgettext_lazy("what happens now", "Live"), "activity"),
    Entry("create", 90, "models-page", _("Models"), "layers"),
    Entry("workspace", 10, "usage-page", _("Usage"), "chart-column"),
    Entry("workspace", 40, "prices", _("Price calculator"), "coins"),
    Entry("workspace", 65, "data-policy-page", _("Data policy"), "shield-check", "tenant.change"),
)
