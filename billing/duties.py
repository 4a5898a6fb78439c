"""What the clock does for money: begin months, take back what is owed, remove what expired, raise alerts, forget old
tallies, reconcile."""

from typing import Final

import structlog

from billing import alerts, ledger, plans, reconciliation
from easel import metrics
from easel.clock import duty, work_off
from easel.database import changed, rows

log = structlog.get_logger(__name__)

BATCH: Final = 500
TALLY_DAYS: Final = 70  # two whole months are always there

# Only once there is no way back: until its key is destroyed, an erasure can be given up.
_END_PLANS_OF_ERASED: Final = """
UPDATE billing_subscription s SET ended_at = now() FROM tenants_erasure e
WHERE s.ended_at IS NULL AND e.subject = 'tenant' AND e.subject_id = s.tenant_id AND e.key_destroyed_at IS NOT NULL
"""
_MONTHS_OVER: Final = """
SELECT tenant_id FROM billing_subscription WHERE ended_at IS NULL AND period_end <= now() ORDER BY period_end LIMIT %s
"""
_CREDITS_OWED: Final = """
SELECT tenant_id FROM billing_subscription s WHERE ended_at IS NULL AND owed > 0 AND period_end > now() AND EXISTS (
    SELECT 1 FROM billing_lot lot WHERE lot.tenant_id = s.tenant_id AND lot.source = 'plan' AND lot.available > 0
        AND lot.expires_at > now())
LIMIT %s
"""
_LOTS_PAST_DATE: Final = """
SELECT tenant_id, id FROM billing_lot WHERE available > 0 AND expires_at <= now() ORDER BY expires_at LIMIT %s
"""


@duty("begin_plan_months", every=60.0)
def begin_plan_months() -> int:
    changed(_END_PLANS_OF_ERASED)
    return work_off(lambda: rows(_MONTHS_OVER, [BATCH]), lambda due: plans.renew_due(*due))


@duty("take_owed_credits", every=3.0)
def take_owed_credits() -> int:
    """Often: what a canceled job gives back after a move to a smaller plan could be spent meanwhile."""
    return work_off(lambda: rows(_CREDITS_OWED, [BATCH]), lambda due: plans.take_owed(*due) > 0)


@duty("expire_lots", every=60.0)
def expire_lots() -> int:
    """Lots are not spent past their date anyway; this takes what is left of them out of the wallets."""
    return work_off(lambda: rows(_LOTS_PAST_DATE, [BATCH]), lambda due: ledger.expire(*due) > 0)


@duty("raise_alerts", every=60.0)
def raise_alerts() -> int:
    return alerts.raise_due()


@duty("measure_holds", every=30.0)
def measure_holds() -> int:
    metrics.HOLDS_CREDITS.set(float(rows("SELECT coalesce(sum(held), 0) FROM billing_wallet")[0][0]))
    return 0


@duty("forget_tallies", every=86_400.0)
def forget_tallies() -> int:
    return changed("DELETE FROM billing_tally WHERE starts < current_date - %s::integer", [TALLY_DAYS])


@duty("reconcile_ledger", every=3600.0)
def reconcile_ledger() -> int:
    """Returns how many differences there are: none, as long as the one door is the only one."""
    return sum(len(found) for found in reconciliation.run().values())
