"""The smallest view behind the API's door, and tokens of every shape to knock with."""

import base64
import hmac
import json
import time
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from tenants.authentication import BearerAuthentication, HasScope, principal_of


class Door(APIView):
    authentication_classes: ClassVar = [BearerAuthentication]
    permission_classes: ClassVar = [HasScope]
    throttle_classes: ClassVar = []
    scopes: ClassVar = {"GET": "generations:read", "POST": "generations:write"}

    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        return Response({"tenant": str(principal.tenant_id), "key": principal.key.public_id})

    def post(self, request: Request) -> Response:
        return Response({})

    def delete(self, request: Request) -> Response:
        raise AssertionError("Nobody has a scope for this method.")


def knock(
    authorization: str | None = None, *, method: str = "get", path: str = "/", key_hint: str = ""
) -> HttpResponse:
    headers = {"HTTP_AUTHORIZATION": authorization, "HTTP_X_API_KEY": key_hint or None}
    request = APIRequestFactory().generic(method, path, **{name: value for name, value in headers.items() if value})
    response: HttpResponse = Door.as_view()(request)
    if isinstance(response, Response):
        response.render()
    return response


def bearer(token: str, **options: Any) -> HttpResponse:
    return knock(f"Bearer {token}", **options)


def body(response: HttpResponse) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(response.content)
    return answered


def soon(seconds: float = 600) -> int:
    return int(time.time() + seconds)


def sign(claims: object, secret: bytes | str, **header: object) -> str:
    """A compact JWS made by hand, because libraries refuse to make the bad ones. `header` adds to alg and typ."""
    payload = claims if isinstance(claims, str) else json.dumps(claims)
    signed = f"{encode(json.dumps({'alg': 'HS256', 'typ': 'JWT', **header}))}.{encode(payload)}"
    key = secret.encode() if isinstance(secret, str) else secret
    return f"{signed}.{encode(hmac.digest(key, signed.encode(), 'sha256'))}"


def encode(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
