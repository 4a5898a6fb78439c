from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = _("Tenants")

    def ready(self) -> None:
        from easel import hub
        from tenants import (  # noqa: F401  register their duties
            delivery,
            entries,
            founding,
            kept_answers,
            keys,
            listeners,
            navigation,
            replay,
            sealed_columns,
            stale_sessions,
        )

        navigation.add(*entries.ENTRIES)
        hub.on_check(keys.refused)
        hub.on_check(listeners.refused)
        sealed_columns.register_own()
