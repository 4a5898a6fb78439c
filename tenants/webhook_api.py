"""`/v1/webhooks`: endpoints, their secrets, a test message, and the log of what was delivered."""

from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel import outbound
from easel.fields import StrictForm, StrictString
from easel.outbound import RefusedAddress, Unreachable
from easel.pages import cursor_of, limit_of, only, page_of
from tenants import endpoints, webhooks
from tenants.api import actor_of
from tenants.authentication import principal_of
from tenants.kept_answers import NO_STORE, once
from tenants.models import WebhookDelivery, WebhookEndpoint
from tenants.scope import tenant_scope
from tenants.tokens import Principal
from tenants.webhooks import SUBSCRIBABLE

FIELDS: Final = {"url": "url", "events": "kinds", "description": "description"}
DEFAULT: Final = "default"


class EndpointForm(StrictForm):
    url = StrictString(max_length=2000, help_text="Where to POST the events; https, and no private address.")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=SUBSCRIBABLE), min_length=1, help_text="Which events to send."
    )
    description = StrictString(max_length=200, required=False, allow_blank=True, default="")

    def validate_url(self, value: str) -> str:
        """Looked up now so that a mistake shows at once; each delivery looks again."""
        try:
            outbound.check(value)
        except RefusedAddress as error:
            raise serializers.ValidationError(error.reason, code="refused_address") from error
        except Unreachable:
            pass  # a host may get its name later
        return value


class EndpointChange(EndpointForm):
    url = StrictString(max_length=2000, required=False)
    events = serializers.ListField(child=serializers.ChoiceField(choices=SUBSCRIBABLE), min_length=1, required=False)
    enabled = serializers.BooleanField(required=False, help_text="false: send nothing until it is true again.")


class EndpointList(APIView):
    scopes: ClassVar = {"GET": "webhooks:read", "POST": "webhooks:write"}

    def get(self, request: Request) -> Response:
        """The account's endpoints, newest first."""
        with tenant_scope(principal_of(request).tenant_id):
            found = list(WebhookEndpoint.objects.filter(is_default=False).order_by("-id"))
        return Response({"object": "list", "data": [describe(each) for each in found]})

    def post(self, request: Request) -> Response:
        """A new endpoint, with its secret."""
        form = EndpointForm(data=request.data)
        form.is_valid(raise_exception=True)
        return once(request, lambda: _made(request, form.validated_data))


class EndpointDetail(APIView):
    scopes: ClassVar = {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    def get(self, request: Request, endpoint_id: UUID) -> Response:
        with tenant_scope(principal_of(request).tenant_id):
            return Response(describe(endpoints.load(endpoint_id)))

    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Change what is named. `enabled: true` also lets a disabled one begin anew."""
        form = EndpointChange(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        with tenant_scope(principal_of(request).tenant_id):
            endpoint = endpoints.load(endpoint_id)
            named = {FIELDS[name]: value for name, value in asked.items() if name in FIELDS}
            endpoints.change(endpoint, enabled=asked.get("enabled"), actor=actor_of(request), **named)
        return Response(describe(endpoint))

    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Forget it, with what was still to be sent to it and with its log."""
        with tenant_scope(principal_of(request).tenant_id):
            endpoints.delete(endpoints.load(endpoint_id), actor=actor_of(request))
        return Response(status=204)


class EndpointRotation(APIView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    def post(self, request: Request, endpoint_id: UUID | None = None) -> Response:
        """A new secret. For a day both sign, so that the receiver can change over."""
        return once(request, lambda: _rotated(request, endpoint_id))


class DefaultSecret(APIView):
    """What signs deliveries to the `webhook_url` of a single request."""

    scopes: ClassVar = {"GET": "webhooks:write"}

    def get(self, request: Request) -> Response:
        endpoint, secret = _default(principal_of(request))
        return Response(describe(endpoint) | {"secret": secret}, headers=NO_STORE)


def _made(request: Request, asked: dict[str, Any]) -> Response:
    tenant_id = principal_of(request).tenant_id
    with tenant_scope(tenant_id):
        made, secret = endpoints.create(
            tenant_id, url=asked["url"], kinds=asked["events"], description=asked["description"],
            actor=actor_of(request),
        )  # fmt: skip
    return Response(describe(made) | {"secret": secret}, status=201, headers=NO_STORE)


def _rotated(request: Request, endpoint_id: UUID | None) -> Response:
    principal = principal_of(request)
    with tenant_scope(principal.tenant_id):
        endpoint = _load_or_default(principal, endpoint_id)
        secret = endpoints.rotate(endpoint, key=principal.data_key, actor=actor_of(request))
    return Response(describe(endpoint) | {"secret": secret}, headers=NO_STORE)


def default_secret(principal: Principal) -> str:
    """What signs deliveries to the addresses of single requests."""
    return _default(principal)[1]


def _default(principal: Principal) -> tuple[WebhookEndpoint, str]:
    with tenant_scope(principal.tenant_id):
        endpoint = webhooks.default_endpoint(principal.tenant_id)
    return endpoint, webhooks.open_secret(endpoint.secret_sealed, key=principal.data_key, endpoint_id=endpoint.id)


class EndpointTest(APIView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Send one `webhook.test` message. What came of it is in the log."""
        with tenant_scope(principal_of(request).tenant_id):
            delivery = _deliveries().get(id=endpoints.send_test(endpoints.load(endpoint_id)))
        return Response(describe_delivery(delivery), status=202)


class DeliveryList(APIView):
    scopes: ClassVar = {"GET": "webhooks:read"}

    def get(self, request: Request, endpoint_id: UUID | None = None) -> Response:
        """What was sent to this endpoint, newest first. The log is kept for 30 days."""
        principal = principal_of(request)
        only(request.query_params, {"limit", "cursor"})
        limit, before = limit_of(request.query_params), cursor_of(request.query_params)
        with tenant_scope(principal.tenant_id):
            endpoint = _load_or_default(principal, endpoint_id)
            found = _deliveries().filter(endpoint=endpoint).order_by("-id")
            if before is not None:
                found = found.filter(id__lt=before)
            data, cursor = page_of(list(found[: limit + 1]), limit)
        return Response({"object": "list", "data": [describe_delivery(each) for each in data], "next_cursor": cursor})


class Redelivery(APIView):
    scopes: ClassVar = {"POST": "webhooks:write"}

    def post(self, request: Request, delivery_id: UUID) -> Response:
        """Send it again now, whatever came of it before, and keep trying for a day. One that is just being sent is left
        as it is; after 100 attempts the answer is 409."""
        principal = principal_of(request)
        with tenant_scope(principal.tenant_id):
            delivery = endpoints.redeliver(principal.tenant_id, delivery_id)
        return Response(describe_delivery(delivery), status=202)


def describe(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """The endpoint without its secret."""
    return {
        "object": "webhook_endpoint",
        "id": DEFAULT if endpoint.is_default else str(endpoint.id),
        "url": endpoint.url or None,
        "description": endpoint.description,
        "events": endpoint.kinds,
        "enabled": endpoint.disabled_at is None,
        "disabled_reason": endpoint.disabled_reason or None,
        "failing_since": _moment(endpoint.failing_since),
        "previous_secret_until": _moment(endpoint.previous_until),
        "created_at": _moment(endpoint.created_at),
    }


def describe_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "object": "webhook_delivery",
        "id": str(delivery.id),
        "event": {
            "id": f"evt_{delivery.event_id.hex}",
            "type": delivery.event.kind,
            "subject": delivery.event.subject,
            "created_at": _moment(delivery.event.created_at),
        },
        "url": delivery.url or delivery.endpoint.url,
        "state": delivery.state,
        "next_attempt_at": _moment(delivery.due_at) if delivery.state == "pending" else None,
        "attempts": [
            {name: entry.get(name) for name in ("at", "attempt", "status", "error", "answer", "seconds")}
            for entry in delivery.log
        ],
        "created_at": _moment(delivery.created_at),
        "ended_at": _moment(delivery.ended_at),
    }


def _load_or_default(principal: Principal, endpoint_id: UUID | None) -> WebhookEndpoint:
    return webhooks.default_endpoint(principal.tenant_id) if endpoint_id is None else endpoints.load(endpoint_id)


def _deliveries() -> Any:
    return WebhookDelivery.objects.select_related("event", "endpoint")


def _moment(when: Any) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if when else None


urlpatterns = [
    path("v1/webhooks", EndpointList.as_view(), name="webhooks"),
    path("v1/webhooks/default/secret", DefaultSecret.as_view(), name="webhook-default-secret"),
    path("v1/webhooks/default/rotate-secret", EndpointRotation.as_view(), name="webhook-default-rotation"),
    path("v1/webhooks/default/deliveries", DeliveryList.as_view(), name="webhook-default-deliveries"),
    path("v1/webhooks/<uuid:endpoint_id>", EndpointDetail.as_view(), name="webhook"),
    path("v1/webhooks/<uuid:endpoint_id>/rotate-secret", EndpointRotation.as_view(), name="webhook-rotation"),
    path("v1/webhooks/<uuid:endpoint_id>/test", EndpointTest.as_view(), name="webhook-test"),
    path("v1/webhooks/<uuid:endpoint_id>/deliveries", DeliveryList.as_view(), name="webhook-deliveries"),
    path("v1/webhooks/deliveries/<uuid:delivery_id>/redeliver", Redelivery.as_view(), name="webhook-redelivery"),
]
