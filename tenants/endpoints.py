"""Changing webhook endpoints: by the API and by the console alike, and each change on record."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.utils.translation import gettext_noop

from easel.crypto import DataKey
from easel.database import atomic, changed
from easel.problems import Problem
from tenants import audit, webhooks
from tenants.audit import Actor
from tenants.models import Tenant, WebhookDelivery, WebhookEndpoint
from tenants.webhooks import KEEP_TRYING

MOST = 50
TOO_MANY: Final = gettext_noop("An account has at most %(most)d endpoints. Delete one.")
MOST_ATTEMPTS = 100  # of one delivery, then it is not sent again on request


class TooManyEndpoints(Problem):
    pass


def load(endpoint_id: UUID) -> WebhookEndpoint:
    """One of the current tenant's. Raises Problem not_found."""
    endpoint: WebhookEndpoint | None = WebhookEndpoint.objects.filter(id=endpoint_id, is_default=False).first()
    if endpoint is None:
        raise Problem("not_found", "There is no such endpoint.")
    return endpoint


def create(
    tenant_id: UUID, *, url: str, kinds: Sequence[str], description: str, actor: Actor
) -> tuple[WebhookEndpoint, str]:
    """The endpoint and its secret. Raises TooManyEndpoints."""
    if WebhookEndpoint.objects.filter(is_default=False).count() >= MOST:
        raise TooManyEndpoints("quota_exceeded", TOO_MANY % {"most": MOST})
    tenant = Tenant.objects.get(id=tenant_id)
    made, secret = webhooks.create(tenant, url=url, kinds=kinds, description=description)
    made.refresh_from_db()
    _record("webhook.created", made, actor, url=url, events=made.kinds)
    return made, secret


def change(endpoint: WebhookEndpoint, *, actor: Actor, enabled: bool | None = None, **fields: object) -> None:
    """`url`, `kinds`, `description`; `enabled=True` also lets a disabled one begin anew."""
    if "kinds" in fields:
        fields["kinds"] = sorted(set(fields["kinds"]))  # type: ignore[call-overload]
    for name, value in fields.items():
        setattr(endpoint, name, value)
    with atomic():
        if fields:
            endpoint.save(update_fields=list(fields))
        if enabled is not None:
            _enable(endpoint) if enabled else _disable(endpoint)
            endpoint.refresh_from_db()
        told = {**fields, **({} if enabled is None else {"enabled": enabled})}
        if told:
            _record("webhook.changed", endpoint, actor, **told)


def delete(endpoint: WebhookEndpoint, *, actor: Actor) -> None:
    """Forget it, with what was still to be sent to it and with its log."""
    row = [endpoint.tenant_id, endpoint.id]
    with atomic():
        changed("DELETE FROM tenants_webhookdelivery WHERE tenant_id = %s AND endpoint_id = %s", row)
        changed("DELETE FROM tenants_webhookendpoint WHERE tenant_id = %s AND id = %s", row)
        _record("webhook.deleted", endpoint, actor, url=endpoint.url)


def rotate(endpoint: WebhookEndpoint, *, key: DataKey, actor: Actor) -> str:
    """A new secret; for a day both sign."""
    with atomic():
        secret = webhooks.rotate(endpoint, key=key)
        endpoint.refresh_from_db()
        _record("webhook.secret_rotated", endpoint, actor)
    return secret


def send_test(endpoint: WebhookEndpoint) -> UUID:
    """The delivery's id. Raises Problem already_finished for a disabled endpoint."""
    if endpoint.disabled_at is not None:
        raise Problem("already_finished", "This endpoint is disabled. Enable it first.")
    return webhooks.send_test(endpoint)


def redeliver(tenant_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Send it again now, whatever came of it before, and keep trying for a day. One that is just being sent is left as
    it is. Raises Problem not_found, and already_finished after MOST_ATTEMPTS."""
    sent = changed(
        "UPDATE tenants_webhookdelivery SET state = 'pending', due_at = now(), expires_at = now() + %s, "
        "leased_until = NULL, ended_at = NULL WHERE tenant_id = %s AND id = %s AND attempts < %s "
        "AND (leased_until IS NULL OR leased_until <= now())",
        [KEEP_TRYING, tenant_id, delivery_id, MOST_ATTEMPTS],
    )
    delivery = load_delivery(delivery_id)
    if not sent and delivery.attempts >= MOST_ATTEMPTS:
        detail = f"This delivery was attempted {MOST_ATTEMPTS} times, and is not sent again."
        raise Problem("already_finished", detail)
    return delivery


def load_delivery(delivery_id: UUID) -> WebhookDelivery:
    """One of the current tenant's, with its event and its endpoint. Raises Problem not_found."""
    found: WebhookDelivery | None = (
        WebhookDelivery.objects.select_related("event", "endpoint").filter(id=delivery_id).first()
    )
    if found is None:
        raise Problem("not_found", "There is no such delivery.")
    return found


def _enable(endpoint: WebhookEndpoint) -> None:
    changed(
        "UPDATE tenants_webhookendpoint SET disabled_at = NULL, disabled_reason = '', failing_since = NULL "
        "WHERE tenant_id = %s AND id = %s",
        [endpoint.tenant_id, endpoint.id],
    )


def _disable(endpoint: WebhookEndpoint) -> None:
    changed(
        "UPDATE tenants_webhookendpoint SET disabled_at = coalesce(disabled_at, now()), disabled_reason = %s "
        "WHERE tenant_id = %s AND id = %s",
        [gettext_noop("By you."), endpoint.tenant_id, endpoint.id],
    )


def _record(action: str, endpoint: WebhookEndpoint, actor: Actor, **details: object) -> None:
    audit.record(
        action, tenant_id=endpoint.tenant_id, object_kind="webhook", object_id=endpoint.id, details=details, actor=actor
    )
