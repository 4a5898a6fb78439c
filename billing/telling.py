"""How a customer hears of an alert: by webhook, and by mail to the people who manage the account."""

from typing import Any, Final

from billing.models import NOBODY, Alert
from tenants import letters, webhooks
from tenants.models import APIKey

_CREDITS: Final = {Alert.Subject.CREDITS, Alert.Subject.SPEND_CAP}
_WHAT: Final = {
    Alert.Subject.CREDITS: "the plan's credits of this month",
    Alert.Subject.SPEND_CAP: "the spend cap of this month",
    Alert.Subject.DAY: "the generations of this day",
    Alert.Subject.MONTH: "the generations of this month",
}


def tell(alert: Alert) -> None:
    """Registered with `billing.alerts`: runs in the transaction that writes the alert, under the platform role."""
    key = _key(alert)
    kind = "balance.low" if alert.subject in _CREDITS else "quota.low"
    webhooks.emit(alert.tenant_id, kind, _payload(alert, key), subject=alert.id)
    what = _WHAT[Alert.Subject(alert.subject)] + (f" of the API key {key.public_id}" if key else "")
    text = (
        f"{alert.used} of {alert.allowed} are used: {alert.percent} % of {what}.\n\n"
        "At 100 % further requests are refused until the period ends (UTC), or until there is more."
    )
    letters.to_managers(alert.tenant_id, subject=f"{alert.percent} % of {what}", text=text)


def _payload(alert: Alert, key: APIKey | None) -> dict[str, Any]:
    return {
        "object": "alert",
        "id": str(alert.id),
        "subject": alert.subject,
        "key": key.public_id if key else None,
        "period": alert.period.isoformat(),
        "percent": alert.percent,
        "used": alert.used,
        "allowed": alert.allowed,
    }


def _key(alert: Alert) -> APIKey | None:
    if alert.key_id == NOBODY:
        return None
    return APIKey.objects.filter(tenant_id=alert.tenant_id, id=alert.key_id).first()
