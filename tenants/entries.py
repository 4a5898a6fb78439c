"""The console's pages about the workspace itself."""

from typing import Final

from django.utils.translation import gettext_lazy as _

from tenants.navigation import Entry

ENDPOINT: Final = frozenset({"webhook-page", "webhook-page-rotate"})
ENTRIES: Final = (
    Entry("develop", 10, "keys-page", _("API keys"), "key", "keys.view", frozenset({"rotate-key"})),
    Entry("develop", 20, "webhooks-page", _("Webhooks"), "webhook", "webhooks.manage", ENDPOINT),
    Entry("develop", 90, "docs", _("API reference"), "book-open"),
    Entry("workspace", 50, "members", _("Members"), "users", "members.view", frozenset({"invite-member"})),
    Entry("workspace", 60, "audit-page", _("Audit log"), "scroll-text", "audit.read"),
    Entry("workspace", 70, "workspace-settings", _("Settings"), "settings", "tenant.change"),
    Entry("workspace", 80, "workspaces", _("All workspaces"), "building-2", only_palette=True),
    Entry("workspace", 81, "welcome", _("New workspace"), "plus", only_palette=True),
    Entry("workspace", 82, "account_email", _("Your account"), "user", only_palette=True),
)
