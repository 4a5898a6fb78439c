"""Sending webhooks. Due deliveries are leased for a moment, sent from a few threads, and written back. Whose turn it is
is said by `delivery_turns`.

A delivery is told at least once: should its process die between the receiver's answer and our writing it down, it is
told again, under the same id. What fails is tried again for a day, ever less often; what has had no turn waits for it
as long as events are kept. Order is not promised.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.db import connections
from django.utils.translation import gettext_noop
from structlog.contextvars import bound_contextvars

from easel import metrics, outbound, tracing
from easel.breaker import Breaker, BreakerOpen
from easel.clock import duty, hasten
from easel.database import atomic, changed, connection, platform_role, rows
from easel.outbound import Answer, RefusedAddress, Unreachable
from tenants import letters, webhooks
from tenants.delivery_turns import Turns
from tenants.keys import tenant_data_key
from tenants.models import WebhookEndpoint
from tenants.webhooks import KEEP_TRYING

log = structlog.get_logger(__name__)

THREADS: Final = 8
TIMEOUT_SECONDS: Final = 10.0
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 6 * 3600.0
EXCERPT: Final = 300  # characters of an answer that the log keeps
LOGGED_ATTEMPTS: Final = 50  # the last ones
KEPT_DAYS: Final = 30
GONE: Final = 410  # "stop sending me this"

Send = Callable[..., Answer]

_WRITE: Final = """
UPDATE tenants_webhookdelivery SET state = %(state)s, leased_until = NULL,
    log = jsonb_path_query_array(log, %(before)s::jsonpath) || %(entry)s::jsonb,
    due_at = CASE WHEN %(state)s = 'pending' THEN now() + make_interval(secs => %(pause)s) ELSE due_at END,
    ended_at = CASE WHEN %(state)s = 'pending' THEN NULL ELSE now() END
WHERE id = %(id)s AND attempts = %(attempts)s AND state = 'pending'
"""
_POSTPONE: Final = """
UPDATE tenants_webhookdelivery SET leased_until = NULL, attempts = attempts - 1,
    due_at = now() + make_interval(secs => %(pause)s)
WHERE id = %(id)s AND attempts = %(attempts)s AND state = 'pending'
"""
# What is locked belongs to another thread that postpones it, or is just being leased.
_POSTPONE_OTHERS: Final = """
WITH others AS (
    SELECT id FROM tenants_webhookdelivery
    WHERE state = 'pending' AND tenant_id = %(tenant)s AND endpoint_id = %(endpoint)s AND url = %(url)s
        AND due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE tenants_webhookdelivery d SET due_at = now() + make_interval(secs => %(retry_after)s + random() * %(spread)s)
FROM others WHERE d.id = others.id
"""
_HEARD: Final = "UPDATE tenants_webhookendpoint SET failing_since = NULL WHERE id = %s AND failing_since IS NOT NULL"
_FAILED: Final = """
UPDATE tenants_webhookendpoint SET failing_since = coalesce(failing_since, now()) WHERE id = %s RETURNING failing_since
"""
_DISABLE: Final = """
UPDATE tenants_webhookendpoint SET disabled_at = now(), disabled_reason = %s
WHERE id = %s AND disabled_at IS NULL AND NOT is_default
"""
# What is due since it was made has had no turn yet: nobody tried it, and no breaker kept it back.
_EXTEND: Final = """
UPDATE tenants_webhookdelivery d SET expires_at = now() + %(keep_trying)s
FROM tenants_webhookendpoint e
WHERE e.tenant_id = d.tenant_id AND e.id = d.endpoint_id AND e.disabled_at IS NULL
    AND d.state = 'pending' AND d.attempts = 0 AND d.due_at = d.created_at
    AND d.expires_at < now() + %(keep_trying)s / 2 AND d.created_at > now() - make_interval(days => %(kept_days)s)
"""
_GIVE_UP: Final = """
UPDATE tenants_webhookdelivery SET state = 'failed', ended_at = now(), leased_until = NULL
WHERE state = 'pending' AND (endpoint_id = %s OR expires_at < now() - interval '1 hour')
"""
# What waits for its next attempt is its receiver's matter, and what is sent to a disabled endpoint its owner's.
LONGEST_DUE: Final = """
SELECT coalesce(extract(epoch FROM now() - (
    SELECT d.due_at FROM tenants_webhookdelivery d
    WHERE d.state = 'pending' AND d.due_at <= now() AND (d.leased_until IS NULL OR d.leased_until <= now())
        AND (SELECT e.disabled_at IS NULL FROM tenants_webhookendpoint e WHERE e.id = d.endpoint_id)
    ORDER BY d.due_at LIMIT 1
)), 0)::float
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One leased delivery with what it says."""

    id: UUID
    tenant_id: UUID
    endpoint_id: UUID
    url: str
    attempts: int
    expires_at: datetime
    event_id: UUID
    kind: str
    payload: Any
    created_at: datetime

    @property
    def message_id(self) -> str:
        """The same in every attempt: by it a receiver knows what it was told before."""
        return f"evt_{self.event_id.hex}"

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.payload) if isinstance(self.payload, str) else self.payload
        return data

    @property
    def body(self) -> bytes:
        timestamp = self.created_at.isoformat().replace("+00:00", "Z")
        told = {"type": self.kind, "timestamp": timestamp, "data": self.data}
        return json.dumps(self.data if self.kind in webhooks.BARE else told, separators=(",", ":")).encode()

    @property
    def traced(self) -> dict[str, str]:
        """For every log line of this delivery: whose it is, and which request it goes back to, if any."""
        request_id = self.data.get("request_id")
        return {"tenant": str(self.tenant_id)} | ({"request_id": str(request_id)} if request_id else {})


class Refused(Exception):
    """The receiver answered, and not with a 2xx."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.status))
        self.answer = answer


class Courier:
    """Delivers what is due. `send` is `outbound.request`, which calls no private address; `freed` is called when a
    thread can take the next one, and has the clock do another round."""

    def __init__(
        self,
        *,
        send: Send = outbound.request,
        pause: Callable[[int], float] | None = None,
        freed: Callable[[], object] | None = None,
    ) -> None:
        self._send, self._pause = send, pause or pause_after
        self._freed = freed or partial(hasten, "deliver_webhooks")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
        self._turns = Turns()
        self._under_way: Counter[UUID] = Counter()  # by tenant
        self._counting = Lock()

    def round(self) -> int:
        """Take what is due and has a free thread. Returns how many; they are sent after it has returned."""
        with self._counting:
            under_way = self._under_way.copy()
        free = THREADS - under_way.total()
        if free <= 0:
            return 0
        taken = [Parcel(*row) for row in self._turns.take(free, under_way=under_way)]
        for parcel in taken:
            self._count(parcel.tenant_id, 1)
            self._threads.submit(self._carry, parcel).add_done_callback(partial(self._back, parcel.tenant_id))
        return len(taken)

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _back(self, tenant_id: UUID, _: object) -> None:
        self._count(tenant_id, -1)
        self._freed()

    def _count(self, tenant_id: UUID, change: int) -> None:
        with self._counting:
            self._under_way[tenant_id] += change
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]

    def _carry(self, parcel: Parcel) -> None:
        try:
            with (
                platform_role(),
                bound_contextvars(**parcel.traced),
                tracing.span(
                    "webhook",
                    request_id=parcel.traced.get("request_id", ""),
                    attributes={"easel.event": parcel.kind, "easel.attempt": parcel.attempts},
                ),
            ):
                self._deliver(parcel)
        except Exception:  # the lease runs out, and the delivery is due again
            log.exception("webhooks.delivery_broke", delivery=str(parcel.id))
        finally:
            connections.close_all()

    def _deliver(self, parcel: Parcel) -> None:
        parcel = replace(parcel, payload=webhooks.completed(parcel.tenant_id, parcel.kind, parcel.data))
        endpoint = WebhookEndpoint.objects.select_related("tenant").get(id=parcel.endpoint_id)
        url = parcel.url or endpoint.url
        started = time.monotonic()
        entry: dict[str, Any] = {"at": datetime.now(UTC).isoformat().replace("+00:00", "Z"), "attempt": parcel.attempts}
        try:
            with _breaker(parcel.tenant_id, url).guard():
                answer = self._call(parcel, endpoint, url)
        except BreakerOpen as error:
            _postpone(parcel, error.retry_after)
            return
        except Refused as error:
            entry |= {"status": error.answer.status, "answer": _excerpt(error.answer), "error": _not_2xx(error.answer)}
        except (RefusedAddress, Unreachable) as error:
            refused = isinstance(error, RefusedAddress)
            entry |= {"status": None, "error": error.reason, "refused": refused}
        else:
            entry |= {"status": answer.status, "answer": _excerpt(answer), "error": None}
        entry["seconds"] = round(time.monotonic() - started, 3)
        self._write_down(parcel, endpoint, url, entry)

    def _call(self, parcel: Parcel, endpoint: WebhookEndpoint, url: str) -> Answer:
        """Raises Refused, RefusedAddress or Unreachable. Redirects are not followed."""
        now, body = datetime.now(UTC), parcel.body
        secrets = webhooks.signing_secrets(endpoint, key=tenant_data_key(endpoint.tenant), now=now)
        timestamp = int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": parcel.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": webhooks.sign(secrets, message_id=parcel.message_id, timestamp=timestamp, body=body),
        }
        connection().close()  # not kept while a receiver stalls: the process has few, for all threads and the clock
        answer = self._send("POST", url, headers=headers, body=body, timeout=TIMEOUT_SECONDS, max_bytes=4096)
        if not 200 <= answer.status < 300:
            raise Refused(answer)
        return answer

    def _write_down(self, parcel: Parcel, endpoint: WebhookEndpoint, url: str, entry: Mapping[str, Any]) -> None:
        delivered = entry["error"] is None
        pause = 0.0 if delivered else self._pause(parcel.attempts)
        over = datetime.now(UTC).timestamp() + pause > parcel.expires_at.timestamp()
        state = "delivered" if delivered else "failed" if over or entry.get("status") == GONE else "pending"
        written = {
            "id": parcel.id, "attempts": parcel.attempts, "state": state, "pause": pause, "entry": json.dumps([entry]),
            "before": f"$[last - {LOGGED_ATTEMPTS - 2} to last]",
        }  # fmt: skip
        outcome = {"pending": "retry"}.get(state, state)
        metrics.WEBHOOK_DELIVERIES.labels("refused" if entry.get("refused") else outcome).inc()
        log.info(
            "webhooks.told", delivery=str(parcel.id), kind=parcel.kind, attempt=parcel.attempts, outcome=outcome,
            status=entry.get("status"),
        )  # fmt: skip
        with atomic():
            if changed(_WRITE, written) == 0:
                return  # its lease ran out, and somebody else has it
            if delivered:
                changed(_HEARD, [parcel.endpoint_id])
                return
            ((failing_since,),) = rows(_FAILED, [parcel.endpoint_id])
        # After the commit: it takes the endpoint's other deliveries, and whoever writes these waits for the endpoint.
        if entry.get("status") == GONE:
            _disable(endpoint, "gone", gettext_noop("It answered 410 Gone."))
        elif state == "failed" and (datetime.now(UTC) - failing_since) >= KEEP_TRYING * 0.9:
            _disable(endpoint, "dead", gettext_noop("It has answered nothing properly for a day."))


def pause_after(attempts: int) -> float:
    """Seconds until the next attempt: 5, 15, 45 … up to six hours, each spread by a quarter so that the deliveries of
    one outage do not come back together."""
    usual = min(LONGEST_PAUSE, FIRST_PAUSE * 3.0 ** min(attempts - 1, 10))
    return usual * random.uniform(0.75, 1.25)  # noqa: S311  spread, not secrecy


def _postpone(parcel: Parcel, retry_after: int) -> None:
    """It was not sent, so it is no attempt. What else is due to its address would only be refused one by one."""
    pause = retry_after + random.uniform(0, FIRST_PAUSE)  # noqa: S311  spread, not secrecy
    changed(_POSTPONE, {"id": parcel.id, "attempts": parcel.attempts, "pause": pause})
    address = {"tenant": parcel.tenant_id, "endpoint": parcel.endpoint_id, "url": parcel.url}
    others = changed(_POSTPONE_OTHERS, {**address, "retry_after": retry_after, "spread": FIRST_PAUSE})
    metrics.WEBHOOK_DELIVERIES.labels("postponed").inc(1 + others)


def _breaker(tenant_id: UUID, url: str) -> Breaker:
    """One per tenant and host: what one tenant's addresses do on a shared host must not hold up another's. An answer
    below 500 is no sign of an ill host."""
    host = urlsplit(url).hostname or ""
    return Breaker(f"webhook:{tenant_id.hex}:{host}", counts=_is_ill, listed=False)


def _is_ill(error: Exception) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.answer.status >= 500)


def _disable(endpoint: WebhookEndpoint, cause: str, reason: str) -> None:
    if changed(_DISABLE, [reason, endpoint.id]) == 0:
        return
    changed(_GIVE_UP, [endpoint.id])
    metrics.WEBHOOKS_DISABLED.labels(cause).inc()
    log.warning("webhooks.disabled", endpoint=str(endpoint.id), cause=cause)
    letters.to_managers(
        endpoint.tenant_id,
        subject="A webhook endpoint was disabled",
        text=(
            f"Easel no longer sends events to {endpoint.url}.\n\n{reason}\n\n"
            "Mend the receiver, then enable the endpoint again (PATCH /v1/webhooks/"
            f'{endpoint.id} with {{"enabled": true}}). Deliveries that failed can be sent again from its log.'
        ),
    )


def _not_2xx(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return f"It answered {answer.status}: redirects are not followed."
    return f"It answered {answer.status}."


def _excerpt(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace").replace("\0", "")[:EXCERPT]


_courier: Courier | None = None


@duty("deliver_webhooks", every=1.0)
def deliver_webhooks() -> int:
    """Hands over what is due and returns: threads do the sending, and hasten the next round when they are free."""
    global _courier  # noqa: PLW0603  threads are made where there is a clock
    _courier = _courier or Courier()
    return _courier.round()


@duty("measure_webhooks", every=15.0)
def measure_webhooks() -> int:
    """For how long the delivery that has been due for the longest has been waiting for a thread."""
    ((seconds,),) = rows(LONGEST_DUE)
    metrics.WEBHOOK_OLDEST_SECONDS.set(seconds)
    return 0


@duty("forget_webhooks", every=3600.0)
def forget_webhooks() -> int:
    """Gives up what nobody could deliver in time, and forgets what is old."""
    changed(_EXTEND, {"keep_trying": KEEP_TRYING, "kept_days": KEPT_DAYS})
    given_up = changed(_GIVE_UP, [UUID(int=0)])
    old = "created_at < now() - make_interval(days => %s)"
    with atomic():
        changed(f"DELETE FROM tenants_webhookdelivery WHERE state <> 'pending' AND {old}", [KEPT_DAYS])  # noqa: S608
        return given_up + changed(
            f"DELETE FROM tenants_webhookevent e WHERE {old} AND NOT EXISTS "  # noqa: S608
            "(SELECT 1 FROM tenants_webhookdelivery d WHERE d.tenant_id = e.tenant_id AND d.event_id = e.id)",
            [KEPT_DAYS],
        )
