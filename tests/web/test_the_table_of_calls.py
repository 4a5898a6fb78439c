"""The calls that were promised, one row each: a call that goes missing, or loses a method, shows by its name here. What
each one does is tested where it lives; that the description is true of it, in `test_openapi` and `test_fuzzed`."""

import pytest
from django.test import Client

from easel import openapi

TABLE = """
POST /v1/generations
GET /v1/generations
GET /v1/generations/{generation_id}
DELETE /v1/generations/{generation_id}
GET /v1/generations/status/{generation_id}
GET /v1/generations/result/{generation_id}
GET /v1/generations/{generation_id}/events
POST /v1/generations/{generation_id}/tickets
POST /v1/generations/{generation_id}/cancel
POST /v1/generations/cancel
GET /v1/events
POST /v1/quotes
POST /v1/moderations
GET /v1/moderation-policy
POST /v1/generations/{generation_id}/appeals
POST /v1/images/{image_id}/variations
POST /v1/images/{image_id}/upscale
POST /v1/images/{image_id}/shares
GET /v1/images/{image_id}/shares
DELETE /v1/shares/{share_id}
POST /v1/images/{image_id}/complaints
GET /v1/complaints/{complaint_id}
POST /v1/inputs
POST /v1/uploads
GET /v1/models
GET /v1/samplers
GET /v1/account
GET /v1/usage
GET /v1/keys
POST /v1/keys
GET /v1/keys/{public_id}
PATCH /v1/keys/{public_id}
DELETE /v1/keys/{public_id}
POST /v1/keys/{public_id}/rotate
GET /v1/webhooks
POST /v1/webhooks
GET /v1/webhooks/{endpoint_id}
PATCH /v1/webhooks/{endpoint_id}
DELETE /v1/webhooks/{endpoint_id}
POST /v1/webhooks/{endpoint_id}/rotate-secret
POST /v1/webhooks/{endpoint_id}/test
GET /v1/webhooks/{endpoint_id}/deliveries
POST /v1/webhooks/deliveries/{delivery_id}/redeliver
POST /oauth/token
POST /oauth/revoke
"""
ROWS = [tuple(row.split()) for row in TABLE.split("\n") if row]


@pytest.mark.parametrize(("method", "path"), ROWS, ids=[" ".join(row) for row in ROWS])
def test_a_call_is_there_and_described(method: str, path: str) -> None:
    assert method.lower() in openapi.document()["paths"].get(path, {}), f"{method} {path} is gone"
    filled = path.replace("public_id", "ek_live_" + "0" * 20)
    for name in ("generation_id", "image_id", "endpoint_id", "delivery_id", "share_id", "complaint_id"):
        filled = filled.replace(name, "0193a3c0-0000-7000-8000-000000000000")
    answer = Client().generic(method, filled.replace("{", "").replace("}", ""))
    assert answer.status_code in {400, 401}, "it asks who is there, and is not unknown"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/healthz", "/readyz"])
def test_what_is_for_everybody_is_there(path: str) -> None:
    if path == "/healthz":  # answered before Django
        from easel import health  # noqa: F401
        from easel.routes import ROUTES

        assert ROUTES.find(path, audience="web") is not None
    else:
        assert Client().get(path).status_code in {200, 503}
