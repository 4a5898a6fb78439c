"""What a new tenant starts with: a plan with its first month's credits, and opening credits to try things out.

Opening credits are given once per e-mail address. A tenant that nobody signed up for (made by staff or by a command)
has no address to remember and gets them too.
"""

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac

from billing import ledger, plans
from billing.models import Lot, Plan
from easel.clock import duty
from easel.database import changed
from easel.identifiers import new_id
from tenants import demo
from tenants.models import Member, Tenant

log = structlog.get_logger(__name__)


def open_account(tenant: Tenant) -> None:
    """Registered for new tenants, inside the transaction that makes them. Raises plans.NoPlan."""
    setting = "EASEL_DEMO_PLAN" if tenant.slug == demo.SLUG else "EASEL_OPENING_PLAN"
    try:
        plans.subscribe(tenant.id, settings.DEMO_PLAN if tenant.slug == demo.SLUG else settings.OPENING_PLAN)
    except plans.NoPlan as error:
        raise plans.NoPlan(f"{setting}: {error}") from error
    owner = Member.objects.select_related("user").filter(tenant=tenant, role=Member.Role.OWNER).first()
    grant_opening_credits(tenant, email=owner.user.email if owner else "")


def grant_opening_credits(tenant: Tenant, *, email: str) -> bool:
    """Once per tenant and once per address, whoever repeats it. `email` is a confirmed one; empty: there is nobody."""
    if settings.OPENING_CREDITS <= 0 or (email and not _first_time(email)):
        return False
    return ledger.grant(
        tenant.id,
        settings.OPENING_CREDITS,
        operation_id="grant:opening",
        source=Lot.Source.OPENING,
        reason="Opening credits",
    )


@duty("check_opening_plan", every=3600.0)
def check_opening_plan() -> int:
    """Says it in the log where new tenants have no plan to start on: nobody can be let in. Returns how many settings
    are wrong."""
    existing = set(Plan.objects.filter(versions__isnull=False).values_list("slug", flat=True))
    named = {"EASEL_OPENING_PLAN": settings.OPENING_PLAN, "EASEL_DEMO_PLAN": settings.DEMO_PLAN}
    wrong = [setting for setting, slug in named.items() if slug not in existing]
    for setting in wrong:
        log.error("opening.no_such_plan", what=setting, found=named[setting], expected=", ".join(sorted(existing)))
    return len(wrong)


def _first_time(email: str) -> bool:
    digest = salted_hmac("billing.trial", _mailbox(email), algorithm="sha256").digest()
    sql = "INSERT INTO billing_trial (id, address_digest) VALUES (%s, %s) ON CONFLICT (address_digest) DO NOTHING"
    return changed(sql, [new_id(), digest]) == 1


def _mailbox(email: str) -> str:
    """The mailbox behind an address: `Ada+two@Example.org` and `ada@example.org` are one."""
    name, _, domain = email.strip().lower().rpartition("@")
    return f"{name.partition('+')[0]}@{domain}"
