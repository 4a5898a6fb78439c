"""Webhooks: what happened, written down for whoever asked to hear of it, in the transaction that makes it true.

`emit` only writes rows; `tenants.delivery` sends them. Messages are signed as Standard Webhooks 1.0 has it
(https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`, with a secret of the form `whsec_<base64>`.
"""

import base64
import hmac
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from easel.crypto import DataKey, open_sealed, seal
from easel.database import Question, atomic, changed, current_alias
from easel.identifiers import new_id
from tenants.keys import tenant_data_key
from tenants.models import Tenant, WebhookEndpoint

KINDS: Final[Mapping[str, str]] = {
    "generation.completed": "A generation has its pictures.",
    "generation.failed": "A generation came to nothing.",
    "generation.canceled": "A generation was canceled.",
    "generation.rejected": "Moderation let no picture of a generation through.",
    "generation.in_review": "A generation waits for a decision of the platform's staff.",
    "generation.released": "Pictures that were held are let through.",
    "balance.low": "50, 80 or 100 percent of the month's credits or of a spend cap are used.",
    "quota.low": "50, 80 or 100 percent of a day's or month's generations are used.",
    "appeal.resolved": "An appeal was decided.",
    "complaint.resolved": "A complaint was decided.",
    "webhook.test": "You asked for it.",
    "prediction.completed": "A prediction of /compat/replicate has ended; told to its own address alone.",
}
SUBSCRIBABLE: Final = tuple(kind for kind in KINDS if kind not in {"webhook.test", "prediction.completed"})
BARE: Final = frozenset({"prediction.completed"})  # whose message is its payload and nothing around it

KEEP_TRYING: Final = timedelta(days=1)
ROTATION_OVERLAP: Final = timedelta(days=1)
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what a secret begins with

_LISTENERS: Final = """
SELECT id FROM tenants_webhookendpoint
WHERE tenant_id = %s AND NOT is_default AND disabled_at IS NULL AND %s = ANY(kinds)
"""
_EVENT: Final = """
INSERT INTO tenants_webhookevent (id, tenant_id, kind, subject, payload) VALUES (%s, %s, %s, %s, %s)
"""
_DELIVERY: Final = """
INSERT INTO tenants_webhookdelivery (id, tenant_id, event_id, endpoint_id, url, state, attempts, log, expires_at)
VALUES (%s, %s, %s, %s, %s, 'pending', 0, '[]', now() + %s)
"""

Payload = Mapping[str, Any]
Completion = Callable[[UUID, Payload], Payload]
_completions: dict[str, Completion] = {}


def emit(
    tenant_id: UUID, kind: str, payload: Payload | Callable[[], Payload], *, subject: object, url: str = ""
) -> int:
    """Note an event for every endpoint that listens to its kind, and for `url` where a request named one. Returns how
    many will hear of it.

    Call it inside the transaction that makes the event true, under any role (the web: in the tenant's scope). A
    callable is asked for the payload only where somebody listens.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of event.")
    targets = [(endpoint_id, "") for endpoint_id in listeners(tenant_id, kind).ask()]
    if url:
        targets.append((default_endpoint(tenant_id).id, url))
    if targets:
        _write(tenant_id, kind, payload() if callable(payload) else payload, str(subject), targets)
    return len(targets)


def complete_when_told(kinds: Iterable[str], complete: Completion) -> None:
    """Register what adds to the payload of these kinds, for a tenant and under the platform role, whenever one is sent:
    what may be erased after an event was written down belongs there, and not into the event's row."""
    _completions.update(dict.fromkeys(kinds, complete))


def completed(tenant_id: UUID, kind: str, payload: Payload) -> Payload:
    """What is told of an event now."""
    complete = _completions.get(kind)
    return complete(tenant_id, payload) if complete else payload


def listeners(tenant_id: UUID, kind: str) -> Question[list[UUID]]:
    """The endpoints that hear of such an event, the one for single requests' addresses aside."""
    return Question(_LISTENERS, [tenant_id, kind], lambda found: [endpoint_id for (endpoint_id,) in found])


def emit_to(tenant_id: UUID, url: str, kind: str, payload: Payload, *, subject: object) -> None:
    """Note an event for one request's own address alone. Call it inside the transaction that makes the event true."""
    _write(tenant_id, kind, payload, str(subject), [(default_endpoint(tenant_id).id, url)])


def send_test(endpoint: WebhookEndpoint) -> UUID:
    """One message to this endpoint, whatever it listens to. Returns the delivery's id."""
    payload = {"message": "This is a test of your webhook endpoint.", "endpoint": str(endpoint.id)}
    (delivery_id,) = _write(endpoint.tenant_id, "webhook.test", payload, str(endpoint.id), [(endpoint.id, "")])
    return delivery_id


def _write(
    tenant_id: UUID, kind: str, payload: Payload, subject: str, targets: Sequence[tuple[UUID, str]]
) -> list[UUID]:
    event_id, deliveries = new_id(), [new_id() for _ in targets]
    with atomic():
        changed(_EVENT, [event_id, tenant_id, kind, subject, json.dumps(payload)])
        for delivery_id, (endpoint_id, url) in zip(deliveries, targets, strict=True):
            changed(_DELIVERY, [delivery_id, tenant_id, event_id, endpoint_id, url, KEEP_TRYING])
    return deliveries


def default_endpoint(tenant_id: UUID) -> WebhookEndpoint:
    """Whose secret signs what goes to single requests' addresses. Made when it is first needed."""
    found: WebhookEndpoint | None = WebhookEndpoint.objects.filter(tenant_id=tenant_id, is_default=True).first()
    if found is None:
        key = tenant_data_key(Tenant.objects.get(id=tenant_id))
        endpoint_id = new_id()
        WebhookEndpoint.objects.using(current_alias()).bulk_create(
            [
                WebhookEndpoint(
                    id=endpoint_id, tenant_id=tenant_id, is_default=True,
                    secret_sealed=_sealed(new_secret(), key, endpoint_id),
                )
            ],
            ignore_conflicts=True,  # a parallel twin made it
        )  # fmt: skip
        made: WebhookEndpoint = WebhookEndpoint.objects.get(tenant_id=tenant_id, is_default=True)
        return made
    return found


def create(tenant: Tenant, *, url: str, kinds: Sequence[str], description: str = "") -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret. Needs the tenant's scope or the platform role."""
    endpoint_id, secret = new_id(), new_secret()
    endpoint = WebhookEndpoint.objects.create(
        id=endpoint_id,
        tenant=tenant,
        url=url,
        kinds=sorted(set(kinds)),
        description=description,
        secret_sealed=_sealed(secret, tenant_data_key(tenant), endpoint_id),
    )
    return endpoint, secret


def rotate(endpoint: WebhookEndpoint, *, key: DataKey) -> str:
    """A new secret. The one before signs beside it for ROTATION_OVERLAP, so that receivers can change over."""
    secret = new_secret()
    changed(
        "UPDATE tenants_webhookendpoint SET previous_secret_sealed = secret_sealed, previous_until = now() + %s, "
        "secret_sealed = %s WHERE tenant_id = %s AND id = %s",
        [ROTATION_OVERLAP, _sealed(secret, key, endpoint.id), endpoint.tenant_id, endpoint.id],
    )
    return secret


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def open_secret(sealed: bytes | memoryview, *, key: DataKey, endpoint_id: UUID) -> str:
    return open_sealed(sealed, key=key, context=_context(endpoint_id)).decode()


def signing_secrets(endpoint: WebhookEndpoint, *, key: DataKey, now: datetime) -> list[str]:
    """The secrets that sign now, the newest first."""
    sealed = [endpoint.secret_sealed]
    if endpoint.previous_secret_sealed is not None and endpoint.previous_until and endpoint.previous_until > now:
        sealed.append(endpoint.previous_secret_sealed)
    return [open_secret(each, key=key, endpoint_id=endpoint.id) for each in sealed]


def sign(secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,<base64>` for each secret, with spaces between them."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)


def _sealed(secret: str, key: DataKey, endpoint_id: UUID) -> bytes:
    return seal(secret.encode(), key=key, context=_context(endpoint_id))


def _context(endpoint_id: UUID) -> bytes:
    return b"tenants.webhook.secret:" + endpoint_id.bytes
