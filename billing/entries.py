"""The console's pages about plan and limits."""

from typing import Final

from django.utils.translation import gettext_lazy as _

from tenants.navigation import Entry

ENTRIES: Final = (
    Entry("workspace", 20, "plan", _("Plan"), "credit-card", "billing.view"),
    Entry("workspace", 30, "limits", _("Limits and caps"), "gauge", "billing.view", frozenset({"limits-set"})),
)
