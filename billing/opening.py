"""What a new tenant starts with."""

from django.conf import settings

from billing import ledger
from tenants.models import Tenant


def grant_opening_credits(tenant: Tenant) -> None:
    """Once per tenant, whoever repeats it."""
    ledger.grant(tenant.id, settings.OPENING_CREDITS, operation_id="grant:opening")
