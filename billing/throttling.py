"""How many requests a minute a customer may send: its plan's rate, for DRF, after authentication.

Calls that change something count against the plan's rate, reads against ten times that. The tenant as a whole has one
count and a key with a rate of its own another. While the cache is away the API stays open: a customer who pays is not
turned away because we cannot count.
"""

import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from billing.models import NOBODY
from billing.plans import NoPlan
from easel import ratelimit
from easel.database import rows
from easel.ratelimit import LimiterAway, Usage
from tenants.scope import tenant_scope
from tenants.tokens import Principal

if TYPE_CHECKING:  # DRF's views read the settings that name this module
    from rest_framework.views import APIView

READS_PER_WRITE: Final = 10
REMEMBER_SECONDS: Final = 3.0  # a changed plan counts everywhere within this; the database's own limits at once
REMEMBER_AT_MOST: Final = 10_000
SAFE: Final = {"GET", "HEAD", "OPTIONS"}

_RATES: Final = """
SELECT version.requests_per_minute, whole.requests_per_minute, own.requests_per_minute
FROM billing_subscription subscription
JOIN billing_planversion version ON version.id = subscription.version_id
LEFT JOIN billing_allowance whole ON whole.tenant_id = subscription.tenant_id AND whole.key_id = %(nobody)s
LEFT JOIN billing_allowance own ON own.tenant_id = subscription.tenant_id AND own.key_id = %(key)s
WHERE subscription.tenant_id = %(tenant)s AND subscription.ended_at IS NULL
"""


class PlanThrottle(BaseThrottle):
    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        principal: Any = request.user
        if not isinstance(principal, Principal):
            return True
        usages = _used(principal, writes=request.method not in SAFE)
        if not usages:
            return True
        ratelimit.note(request._request, usages)
        exceeded = [usage.reset for usage in usages if usage.exceeded]
        self._wait = max(exceeded, default=None)
        return not exceeded

    def wait(self) -> float | None:
        return self._wait


def check(principal: Principal, *, times: int = 1) -> None:
    """Count changes that came another way than DRF's, the console's. Raises Problem rate_limited."""
    for _ in range(times):
        exceeded = [usage for usage in _used(principal, writes=True) if usage.exceeded]
        if exceeded:
            raise ratelimit.refusal("rate_limited", exceeded)


def _used(principal: Principal, *, writes: bool) -> list[Usage]:
    """Nothing while the cache is away: the door stays open."""
    try:
        return _use(principal, writes=writes)
    except LimiterAway:
        ratelimit.unlimited("api")
        return []


def _use(principal: Principal, *, writes: bool) -> list[Usage]:
    tenant_rate, key_rate = rates(principal.tenant_id, principal.key.key_id)
    kind, factor = ("writes", 1) if writes else ("reads", READS_PER_WRITE)
    usages = [ratelimit.use(f"api-{kind}", str(principal.tenant_id), limit=tenant_rate * factor, name=f"tenant-{kind}")]
    if key_rate is not None:
        own = ratelimit.use(f"api-key-{kind}", principal.key.public_id, limit=key_rate * factor, name=f"key-{kind}")
        usages.append(own)
    return usages


def rates(tenant_id: UUID, key_id: UUID) -> tuple[int, int | None]:
    """Requests per minute of the tenant, and of the key where it has its own; at most REMEMBER_SECONDS old."""
    now = time.monotonic()
    remembered = _remembered.get((tenant_id, key_id))
    if remembered is not None and remembered[0] > now:
        return remembered[1]
    with tenant_scope(tenant_id):
        read = rows(_RATES, {"tenant": tenant_id, "key": key_id, "nobody": NOBODY})
    if not read:
        raise NoPlan(f"Tenant {tenant_id} is on no plan.")
    ((plan, whole, own),) = read
    found = (min(plan, whole) if whole is not None else plan, own)
    with _lock:
        if len(_remembered) >= REMEMBER_AT_MOST:
            _remembered.clear()
        _remembered[tenant_id, key_id] = (now + REMEMBER_SECONDS, found)
    return found


def forget_all() -> None:
    """Drop this process's memory of rates."""
    with _lock:
        _remembered.clear()


_remembered: dict[tuple[UUID, UUID], tuple[float, tuple[int, int | None]]] = {}
_lock = Lock()
