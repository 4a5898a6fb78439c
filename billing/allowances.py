"""Limits that a tenant sets for itself or for one of its keys: changed by the API and by the console alike.

A cap that staff have set stands beside the tenant's own. The lower of the two counts.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from billing import quotas
from billing.models import NOBODY, Allowance
from easel.database import rows
from easel.problems import Problem
from tenants import audit
from tenants.audit import Actor
from tenants.models import APIKey
from tenants.tokens import Principal

LIMITS: Final = ("spend_cap", "generations_per_day", "generations_per_month", "requests_per_minute")
ACCOUNT: Final = "account"
LARGEST: Final = 2**31 - 1
MOST_KEYS: Final = 200

# Keys that open something, and the account itself in the first row.
_LISTED: Final = """
SELECT '', '', %(nobody)s::uuid, a.spend_cap, a.generations_per_day, a.generations_per_month, a.requests_per_minute,
    a.staff_cap, least(a.spend_cap, a.staff_cap),
    (SELECT coalesce(sum(charged - refunded), 0)::bigint FROM billing_usage
     WHERE tenant_id = %(tenant)s AND day >= %(month)s)
    + (SELECT coalesce(sum(remaining), 0)::bigint FROM billing_hold
       WHERE tenant_id = %(tenant)s AND ended_at IS NULL)
FROM (SELECT 1) one LEFT JOIN billing_allowance a ON a.tenant_id = %(tenant)s AND a.key_id = %(nobody)s
UNION ALL (
SELECT k.public_id, k.name, k.id, a.spend_cap, a.generations_per_day, a.generations_per_month, a.requests_per_minute,
    a.staff_cap, least(a.spend_cap, a.staff_cap),
    (SELECT coalesce(sum(charged - refunded), 0)::bigint FROM billing_usage u
     WHERE u.tenant_id = k.tenant_id AND u.day >= %(month)s AND u.key_id = k.id)
    + (SELECT coalesce(sum(remaining), 0)::bigint FROM billing_hold h
       WHERE h.tenant_id = k.tenant_id AND h.key_id = k.id AND h.ended_at IS NULL)
FROM tenants_apikey k LEFT JOIN billing_allowance a ON a.tenant_id = k.tenant_id AND a.key_id = k.id
WHERE k.tenant_id = %(tenant)s AND k.revoked_at IS NULL AND k.mode = 'live' ORDER BY k.id DESC LIMIT %(most)s)
"""


def change(
    tenant_id: UUID, whose: str, asked: Mapping[str, int | None], *, actor: Actor, caller: Principal | None = None
) -> tuple[Allowance, str | None]:
    """Set what is named, of the account or of the key with this public id; None lifts it. The staff's cap stays.

    A `caller` is a key, not a person: with limits of its own it loosens none, and a test key leaves live ones alone.
    Returns the allowance and the key's public id. Needs the tenant's scope. Raises Problem."""
    key = None if whose == ACCOUNT else _key(whose)
    key_id = key.id if key else NOBODY
    if caller is not None and caller.test_mode and (key is None or key.mode != APIKey.Mode.TEST):
        raise Problem("insufficient_scope", "A test key sets the limits of test keys only.")
    allowance, _ = Allowance.objects.get_or_create(tenant_id=tenant_id, key_id=key_id)
    allowance = Allowance.objects.select_for_update().get(id=allowance.id)
    if caller is not None and quotas.limited(tenant_id, caller.key.key_id):
        _check_tighter(allowance, asked)
    for name, value in asked.items():
        setattr(allowance, name, value)
    allowance.save(update_fields=list(asked))
    audit.record(
        "allowance.set", tenant_id=tenant_id, object_kind="key" if key else "tenant",
        object_id=whose if key else tenant_id, details=asked, actor=actor,
    )  # fmt: skip
    return allowance, key.public_id if key else None


def listed(tenant_id: UUID, *, month: Any) -> list[dict[str, Any]]:
    """The account and its live keys, each with its limits, the lower cap, and what is spent this month or held, as the
    caps count it. One statement."""
    names = ("public_id", "name", "key_id", *LIMITS, "staff_cap", "cap", "spent")
    asked = {"tenant": tenant_id, "nobody": NOBODY, "month": month, "most": MOST_KEYS}
    return [dict(zip(names, row, strict=True)) for row in rows(_LISTED, asked)]


def _check_tighter(allowance: Allowance, asked: Mapping[str, int | None]) -> None:
    """For a caller with limits of its own: it could else free itself, or a key whose secret it has. Raises Problem."""
    for name, value in asked.items():
        most: int | None = getattr(allowance, name)
        if most is not None and (value is None or value > most):
            said = f"A key with limits of its own only tightens limits: {name} may be at most {most}."
            raise Problem("insufficient_scope", said)


def _key(public_id: str) -> APIKey:
    key: APIKey | None = APIKey.objects.filter(public_id=public_id).first() if "\0" not in public_id else None
    if key is None:
        raise Problem("not_found", "There is no such key.")
    return key
