from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Plans and credits")

    def ready(self) -> None:
        from billing import (  # noqa: F401  registers the clock's duties
            alerts,
            duties,
            entries,
            opening,
            plan_requests,
            quotas,
            telling,
        )
        from tenants import navigation
        from tenants.key_powers import on_limits
        from tenants.lifecycle import keep_books, name_people_in, on_created

        navigation.add(*entries.ENTRIES)
        on_created(opening.open_account)
        on_limits(quotas.limited)
        alerts.on_alert(telling.tell)
        books = ("wallet", "lot", "hold", "pin", "entry", "usage", "tally", "subscription")
        name_people_in("billing_planrequest", "asked_by")
        keep_books(*(f"billing_{table}" for table in books))
