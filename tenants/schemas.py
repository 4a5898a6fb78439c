"""What each call of this app takes and answers, for `/openapi.json`."""

# Answers have fields named such as `data`, which serializers have, too; DRF tells them apart, its stubs do not.
# mypy: disable-error-code="assignment"

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from easel.openapi import Document, add_paths, describe, problem
from easel.pages import MOST, USUAL
from tenants import api, audit_pages, key_forms, webhook_api
from tenants.models import APIKey, WebhookDelivery


class KeyAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["key"])
    id = serializers.CharField()
    name = serializers.CharField()
    mode = serializers.ChoiceField(choices=APIKey.Mode.values)
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_networks = serializers.ListField(child=serializers.CharField())
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class KeyWithSecret(KeyAnswer):
    secret = serializers.CharField(help_text="Shown once.")


class KeysAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = KeyAnswer(many=True)


class EndpointAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["webhook_endpoint"])
    id = serializers.CharField()
    url = serializers.CharField(allow_null=True)
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)


class EndpointWithSecret(EndpointAnswer):
    secret = serializers.CharField(help_text="Signs what is sent: Standard Webhooks.")


class EndpointsAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = EndpointAnswer(many=True)


class EventOfDelivery(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.CharField()
    subject = serializers.CharField()
    created_at = serializers.DateTimeField()


class AttemptAnswer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    attempt = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    answer = serializers.CharField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)


class DeliveryAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["webhook_delivery"])
    id = serializers.UUIDField()
    event = EventOfDelivery()
    url = serializers.CharField()
    state = serializers.ChoiceField(choices=WebhookDelivery.State.values)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptAnswer(many=True)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class DeliveriesAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = DeliveryAnswer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class AuditRecordAnswer(serializers.Serializer[Any]):
    sequence = serializers.IntegerField()
    digest = serializers.CharField()


class AuditAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = AuditRecordAnswer(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class AuditVerificationAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["audit_verification"])
    intact = serializers.BooleanField()
    broken_at = serializers.IntegerField(allow_null=True)
    records = serializers.IntegerField()
    last_digest = serializers.CharField(allow_null=True)


PAGE: Final = [
    OpenApiParameter("limit", int, description=f"1 to {MOST}, {USUAL} if left out."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]
ONCE: Final[dict[str, Any]] = {
    "also": (409,),
    "parameters": [
        OpenApiParameter(
            "Idempotency-Key", str, OpenApiParameter.HEADER,
            description="The same request again makes nothing new, and shows the secret again for 10 minutes.",
        )
    ],
}  # fmt: skip
_KEYS: Final[list[tuple[Any, str, dict[str, Any]]]] = [
    (api.KeyList, "get", {"answers": {200: KeysAnswer}, "summary": "The account's API keys", "name": "listKeys"}),
    (api.KeyList, "post", {
        "takes": key_forms.NewKey, "answers": {201: KeyWithSecret}, "summary": "A new key", "name": "createKey", **ONCE,
    }),
    (api.KeyDetail, "get", {"answers": {200: KeyAnswer}, "summary": "One key", "name": "getKey"}),
    (api.KeyDetail, "patch", {
        "takes": key_forms.ChangedKey, "answers": {200: KeyAnswer}, "summary": "Change a key", "name": "changeKey",
    }),
    (api.KeyDetail, "delete", {"answers": {204: None}, "summary": "Revoke a key", "name": "revokeKey"}),
    (api.KeyRotation, "post", {
        "takes": key_forms.Rotation, "answers": {200: KeyWithSecret}, **ONCE,
        "summary": "A new secret for a key", "name": "rotateKey",
    }),
]  # fmt: skip
_WEBHOOKS: Final[list[tuple[Any, str, dict[str, Any]]]] = [
    (webhook_api.EndpointList, "get", {
        "answers": {200: EndpointsAnswer}, "summary": "The account's webhook endpoints", "name": "listWebhooks",
    }),
    (webhook_api.EndpointList, "post", {
        "takes": webhook_api.EndpointForm, "answers": {201: EndpointWithSecret},
        "summary": "A new endpoint, with its secret", "name": "createWebhook", **ONCE,
    }),
    (webhook_api.EndpointDetail, "get", {
        "answers": {200: EndpointAnswer}, "summary": "One endpoint", "name": "getWebhook",
    }),
    (webhook_api.EndpointDetail, "patch", {
        "takes": webhook_api.EndpointChange, "answers": {200: EndpointAnswer}, "summary": "Change an endpoint",
        "name": "changeWebhook",
    }),
    (webhook_api.EndpointDetail, "delete", {
        "answers": {204: None}, "summary": "Forget an endpoint", "name": "deleteWebhook",
    }),
    (webhook_api.EndpointRotation, "post", {
        "answers": {200: EndpointWithSecret}, "summary": "A new secret; both sign for a day", **ONCE,
    }),
    (webhook_api.DefaultSecret, "get", {
        "answers": {200: EndpointWithSecret}, "summary": "The secret for the webhook_url of single requests",
        "name": "getDefaultWebhookSecret",
    }),
    (webhook_api.EndpointTest, "post", {
        "answers": {202: DeliveryAnswer}, "also": (409,), "summary": "Send a test message", "name": "testWebhook",
    }),
    (webhook_api.DeliveryList, "get", {
        "answers": {200: DeliveriesAnswer}, "also": (400,), "parameters": PAGE, "summary": "What was sent",
    }),
    (webhook_api.Redelivery, "post", {
        "answers": {202: OpenApiResponse(DeliveryAnswer)}, "also": (409,), "summary": "Send it again",
        "name": "redeliverWebhook",
    }),
]  # fmt: skip
_FILES: Final[dict[Any, Any]] = {
    (200, "application/json"): {"type": "array", "items": {"type": "object"}},
    (200, "text/csv"): OpenApiTypes.STR,
}
_AUDIT: Final[list[tuple[Any, str, dict[str, Any]]]] = [
    (audit_pages.AuditLog, "get", {
        "answers": {200: AuditAnswer}, "also": (400,), "summary": "The audit log, newest first", "name": "listAudit",
        "parameters": [
            OpenApiParameter("limit", int, description="1 to 1000."),
            OpenApiParameter("before", int, description="`next_before` of the page before."),
        ],
    }),
    (audit_pages.AuditExport, "get", {
        "answers": _FILES, "also": (400,),
        "summary": "All of it as a file", "name": "exportAudit",
        "parameters": [OpenApiParameter("as", str, enum=["csv", "json"])],
    }),
    (audit_pages.AuditVerification, "get", {
        "answers": {200: AuditVerificationAnswer}, "summary": "Whether its chain holds", "name": "verifyAudit",
    }),
]  # fmt: skip
for _view, _method, _details in _AUDIT:
    describe(_view, _method, tag="audit", **_details)
for _view, _method, _details in _KEYS:
    describe(_view, _method, tag="keys", **_details)
for _view, _method, _details in _WEBHOOKS:
    describe(_view, _method, tag="webhooks", **_details)


def _oauth() -> Document:
    """RFC 6749's own form of bodies and errors."""
    credentials = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
    error = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    token = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": {"type": "string"},
            "token_type": {"type": "string", "const": "Bearer"},
            "expires_in": {"type": "integer"},
            "scope": {"type": "string"},
        },
    }
    refusals = {
        status: {"description": "RFC 6749, section 5.2.", "content": {"application/json": {"schema": error}}}
        for status in ("400", "401")
    } | {str(status): problem(status) for status in (405, 413, 429, 500, 503)}
    grants = {"grant_type": {"type": "string"}, "scope": {"type": "string"}, "assertion": {"type": "string"}}
    answered = {"description": "A token.", "content": {"application/json": {"schema": token}}}
    return {
        "/oauth/token": _form(
            "createToken", "An access token", {**grants, **credentials}, ["grant_type"], {"200": answered, **refusals}
        ),
        "/oauth/revoke": _form(
            "revokeToken", "Give a token back", {"token": {"type": "string"}, **credentials}, ["token"],
            {"200": {"description": "Whether or not there was such a token."}, **refusals},
        ),
        "/.well-known/oauth-authorization-server": {
            "get": {
                "operationId": "getAuthorizationServer",
                "tags": ["tokens"],
                "summary": "What this authorization server can do (RFC 8414)",
                "security": [],
                "responses": {
                    "200": {
                        "description": "Its metadata.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "400": problem(400),
                },
            }
        },
    }  # fmt: skip


def _form(name: str, summary: str, properties: Document, required: list[str], responses: Document) -> Document:
    schema = {"type": "object", "required": required, "properties": properties}
    return {
        "post": {
            "operationId": name,
            "tags": ["tokens"],
            "summary": summary,
            "security": [],
            "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}},
            "responses": responses,
        }
    }


add_paths(_oauth)
