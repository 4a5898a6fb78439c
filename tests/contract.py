"""Every request and every answer of the suite is held against `/openapi.json`: what it does not say is a failure.

`install` puts itself around Django's test client, DRF's too. Answers that came over a real port are held against it by
`check_answer`, called by whoever asked.
"""

import json
import re
from functools import cache
from typing import Any, Final

from django.test.client import Client
from jsonschema import Draft202012Validator

from easel import openapi

DESCRIBED: Final = ("/v1/", "/oauth/", "/.well-known/", "/media/")
# A method that the document does not name is told by 405, an address that it does not name by 404: with a problem.
UNNAMED: Final = {401, 403, 404, 405}


class OffContract(AssertionError):
    """The document is not true."""


SEALED = "application/vnd.easel.sealed"  # whoever asked under seal; docs/formats.md describes the bytes


def install() -> None:
    asked = Client.request

    def request(self: Client, **environ: Any) -> Any:
        body = _sent(environ)
        response = asked(self, **environ)
        if environ["PATH_INFO"].startswith(DESCRIBED) and not getattr(response, "streaming", False):
            check_answer(
                environ["REQUEST_METHOD"], environ["PATH_INFO"], response.status_code,
                response.headers.get("Content-Type", ""), response.content,
            )  # fmt: skip
            if response.status_code < 300:
                check_request(environ["REQUEST_METHOD"], environ["PATH_INFO"], str(environ.get("CONTENT_TYPE")), body)
        return response

    Client.request = request  # type: ignore[method-assign]


def check_answer(method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    operation = _operation(method, path)
    if operation is None:
        if status not in UNNAMED and method not in {"HEAD", "OPTIONS"}:
            raise OffContract(f"{method} {path} answers {status} and is not in the document.")
        return
    if status == 405:
        raise OffContract(f"{method} {path} is in the document and answers 405.")
    answer = operation["responses"].get(str(status))
    if answer is None:
        raise OffContract(f"{method} {path} answers {status}, which is not in the document.")
    if method == "HEAD" or not body or content_type == SEALED:
        return
    schema = _for_type(answer.get("content", {}), content_type)
    if schema is None:
        raise OffContract(f"{method} {path} answers {status} as {content_type!r}, which is not in the document.")
    if "json" in content_type:
        _hold(schema, json.loads(body), f"{method} {path} answers {status}")


def check_request(method: str, path: str, content_type: str, body: bytes) -> None:
    """What is accepted must be what the document accepts."""
    operation = _operation(method, path)
    described = (operation or {}).get("requestBody", {}).get("content", {})
    if described and content_type.startswith("application/json"):
        _hold(described["application/json"]["schema"], json.loads(body or b"null"), f"{method} {path} accepts")


def _hold(schema: dict[str, Any], value: Any, what: str) -> None:
    for error in _validator(json.dumps(schema, sort_keys=True)).iter_errors(value):
        where = ".".join(map(str, error.absolute_path))
        raise OffContract(f"{what} {where or 'a body'}: {error.message[:300]}")


def _for_type(content: dict[str, Any], content_type: str) -> dict[str, Any] | None:
    bare = content_type.partition(";")[0].strip()
    family = f"{bare.partition('/')[0]}/*"
    found = content.get(bare) or content.get(family)
    return None if found is None else found.get("schema", {})


def _operation(method: str, path: str) -> dict[str, Any] | None:
    wanted = "get" if method == "HEAD" else method.lower()
    for pattern, item in _paths():
        if pattern.fullmatch(path) and wanted in item:
            found: dict[str, Any] = item[wanted]
            return found
    return None


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Literal paths before those with parameters, as URL confs have them."""
    paths = sorted(openapi.document()["paths"].items(), key=lambda each: each[0].count("{"))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), item) for path, item in paths]


@cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": openapi.document()["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _sent(environ: dict[str, Any]) -> bytes:
    """Django's test client holds the body in a FakePayload that can be read once."""
    payload = environ.get("wsgi.input")
    content = getattr(payload, "_FakePayload__content", None)
    return b"" if content is None else bytes(content.getvalue())
