from django.apps import AppConfig
from django.utils.translation import pgettext_lazy


class GenerationConfig(AppConfig):
    name = "generation"
    verbose_name = pgettext_lazy("what is drawn", "Work")

    def ready(self) -> None:
        from billing import plans
        from generation import (  # noqa: F401  the clock's duties register themselves
            compat,
            decisions,
            duties,
            entries,
            events,
            figures,
            flows,
            inputs,
            queue_watch,
            rehearsal,
            rejudging,
            retention,
            reuse,
            rights,
            sharing,
        )
        from moderation import policy
        from tenants import navigation

        navigation.add(*entries.ENTRIES)
        plans.on_changed(flows.apply_limits)
        policy.on_options(lambda tenant_id: plans.limits_of(tenant_id).moderation_options)
        events.register()
        rights.register()
        decisions.register()
        compat.register()
        reuse.register()
