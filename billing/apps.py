from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import opening
        from tenants.lifecycle import on_created

        on_created(opening.open_account)
