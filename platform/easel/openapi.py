"""The API's own description: OpenAPI 3.1, made from the views by drf-spectacular. `/openapi.json` serves it.

An app says in its `schemas` module what each of its views takes and answers (`describe`). What holds for all calls
(the token, the request id, limits and every error that can come of them) is added here, once.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import autodiscover_modules
from django.views.decorators.http import require_safe
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.views import APIView

from easel.problems import KINDS, MEDIA_TYPE

Document = dict[str, Any]

# The errors that any call with a token can come to, whatever it does.
ALWAYS: Final = (400, 401, 403, 406, 429, 500, 503)
WITH_BODY: Final = (413, 415)
BODIES: Final = {"POST", "PUT", "PATCH"}

PROBLEM: Final[Document] = {
    "type": "object",
    "description": "RFC 9457. Go by `code`; each has a page at `type`.",
    "required": ["type", "title", "status", "detail", "code", "instance"],
    "properties": {
        "type": {"type": "string", "description": "The page of this code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(KINDS)},
        "instance": {"type": "string", "description": "The request id."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
}
FIELD_ERROR: Final[Document] = {
    "type": "object",
    "required": ["field", "code", "detail"],
    "properties": {
        "field": {"type": "string", "description": "A dotted path; empty for the request as a whole."},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
HEADERS: Final[Document] = {
    "RequestId": {"description": "Names this request in logs.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds.", "schema": {"type": "integer"}},
    "RateLimit": {
        "description": "What is left of each limit (draft-ietf-httpapi-ratelimit-headers): r calls, t seconds.",
        "schema": {"type": "string", "examples": ['"tenant-writes";r=59;t=60']},
    },
    "RateLimitPolicy": {
        "description": "Each limit: q calls in w seconds.",
        "schema": {"type": "string", "examples": ['"tenant-writes";q=60;w=60']},
    },
    "Challenge": {"description": "RFC 6750.", "schema": {"type": "string"}},
    "ApiVersion": {"description": "The version that answered.", "schema": {"type": "string"}},
}
_EVERYWHERE: Final = {"X-Request-ID": "RequestId", "Easel-Version": "ApiVersion"}
_LIMITED: Final = {"RateLimit": "RateLimit", "RateLimit-Policy": "RateLimitPolicy"}

REQUEST_ID: Final = OpenApiParameter(
    "X-Request-ID",
    str,
    OpenApiParameter.HEADER,
    description="Your own name for this request.",
)

_more: list[Callable[[], Mapping[str, Any]]] = []


def describe(
    view: type[APIView],
    method: str,
    *,
    answers: Mapping[Any, Any],
    takes: Any = None,
    summary: str = "",
    also: Sequence[int] = (),
    parameters: Sequence[OpenApiParameter] = (),
    examples: Sequence[OpenApiExample] = (),
    tag: str = "",
    name: str = "",
) -> None:
    """Say what a view's method takes and answers. `also`: errors beside those that every call can come to."""
    details: dict[str, Any] = {"summary": summary} if summary else {}
    if name:
        details["operation_id"] = name
    if tag:
        details["tags"] = [tag]
    described = extend_schema(
        request=takes, responses=dict(answers), parameters=list(parameters), examples=list(examples), **details
    )
    extend_schema_view(**{method: described})(view)
    own: dict[str, tuple[int, ...]] = dict(getattr(view, "errors_of_methods", {}))
    own[method.upper()] = tuple(also)
    view.errors_of_methods = own  # type: ignore[attr-defined]


def add_paths(paths: Callable[[], Mapping[str, Any]]) -> None:
    """Register operations that are no DRF views, as OpenAPI path items."""
    if paths not in _more:
        _more.append(paths)


class Schema(AutoSchema):
    """What every operation has."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        return [{"token": []}]

    def get_override_parameters(self) -> list[Any]:
        return [REQUEST_ID]

    def get_operation(self, *given: Any) -> Any:
        operation = super().get_operation(*given)
        if operation is not None:
            scopes: dict[str, str] = getattr(self.view, "scopes", {})
            operation["x-scope"] = scopes.get(self.method, "")
            errors = {*ALWAYS, *getattr(self.view, "errors_of_methods", {}).get(self.method, ())}
            if self.method in BODIES:
                errors |= set(WITH_BODY)
            if "{" in self.path:
                errors.add(404)
            for status in sorted(errors):
                operation["responses"].setdefault(str(status), problem(status))
            for status, answer in operation["responses"].items():
                answer["headers"] = {**_headers(int(status)), **answer.get("headers", {})}
        return operation


def problem(status: int) -> Document:
    """The response object of an error status."""
    codes = [code for code, kind in KINDS.items() if kind.status == status]
    return {
        "description": f"{', '.join(codes)}.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def only_the_api(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """Preprocessing hook: what a customer's program calls."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/v1/")]


def complete(result: Document, generator: Any, request: Any, public: bool) -> Document:
    """Postprocessing hook: what no serializer says."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update({"Problem": PROBLEM, "FieldError": FIELD_ERROR})
    components["headers"] = HEADERS
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of /oauth/token, or one that you sign yourself with the API secret.",
        }
    }
    for paths in _more:
        result["paths"].update(paths())
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


@cache
def document() -> Document:
    """The whole description. Made once: it takes a while."""
    autodiscover_modules("schemas")
    generator: Any = SchemaGenerator
    made: Document = generator().get_schema(request=None, public=True)
    return made


def complaints() -> list[str]:
    """What drf-spectacular could not tell for sure while it made the document."""
    document()
    return [str(said) for level in (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache) for said in level]


@cache
def _served() -> tuple[bytes, str]:
    body = json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """`GET /openapi.json`"""
    body, tag = _served()
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers={"ETag": tag})
    headers = {"ETag": tag, "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return HttpResponse(body, content_type="application/json", headers=headers)


def _headers(status: int) -> Document:
    names = dict(_EVERYWHERE)
    if status not in {401, 500, 503}:
        names |= _LIMITED
    if status in {429, 503}:
        names["Retry-After"] = "RetryAfter"
    if status == 401:
        names["WWW-Authenticate"] = "Challenge"
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}
