"""`/openapi.json` is whole and true, and the pages that lean on it need nothing from elsewhere."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from jsonschema import Draft202012Validator

from easel import openapi
from easel.problems import KINDS
from easel.remedies import REMEDIES
from tests import contract
from tests.cast import Customer
from tests.generation.conftest import make_workshop


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, Any]]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, before + str(each.pattern))
        else:
            yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", before + str(each.pattern)), each.callback


def test_every_call_is_described_with_every_method_it_has() -> None:
    paths = openapi.document()["paths"]
    api = {path: view for path, view in routes(get_resolver().url_patterns) if path.startswith(("/v1/", "/oauth/"))}
    assert set(api) - set(paths) == set()
    for path, view in api.items():
        methods = {method.lower() for method in getattr(getattr(view, "cls", None), "scopes", {})}
        assert methods <= paths[path].keys(), path


def test_nothing_is_described_that_does_not_exist() -> None:
    known = {path for path, _ in routes(get_resolver().url_patterns)}
    assert set(openapi.document()["paths"]) - known == set()


def test_nothing_in_it_is_a_guess() -> None:
    assert openapi.complaints() == []


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary() -> None:
    operations = [each for item in openapi.document()["paths"].values() for each in item.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert [each["operationId"] for each in operations if not each.get("tags") or not each.get("summary")] == []


def test_every_operation_with_a_token_says_which_scope_it_needs() -> None:
    from tenants.keys import SCOPES

    for path, item in openapi.document()["paths"].items():
        for method, operation in item.items():
            if operation.get("security") != []:
                assert operation["x-scope"] in SCOPES, (method, path)


def test_every_schema_is_one() -> None:
    components = openapi.document()["components"]
    for schema in components["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(openapi.document())
    for kind, name in re.findall(r"#/components/(\w+)/([\w.-]+)", text):
        assert name in components[kind], name


def test_it_is_served_and_remembered() -> None:
    answer = Client().get("/openapi.json")
    assert (answer.status_code, answer.json()["openapi"]) == (200, "3.1.0")
    again = Client().get("/openapi.json", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_document_that_is_not_true_is_noticed() -> None:
    path = "/v1/generations/status/0193a3c0-0000-7000-8000-000000000000"
    good = {
        "task_id": "0193a3c0-0000-7000-8000-000000000000", "status": "queued", "progress": 0.0, "error": None,
        "queue_position": 1, "eta_seconds": None,
    }  # fmt: skip
    contract.check_answer("GET", path, 200, "application/json", json.dumps(good).encode())
    for status, content_type, body in (
        (200, "application/json", good | {"progress": "none"}),
        (200, "application/json", good | {"status": "lost"}),
        (200, "application/json", {}),
        (200, "text/html", good),
        (418, "application/json", good),
        (404, "application/problem+json", {"code": "not_found"}),
    ):
        with pytest.raises(contract.OffContract):
            contract.check_answer("GET", path, status, content_type, json.dumps(body).encode())
    with pytest.raises(contract.OffContract):
        contract.check_answer("GET", "/v1/nobody/knows", 200, "application/json", b"{}")


def test_what_the_description_says_of_fields_is_what_they_take(ada: Customer) -> None:
    schema = openapi.document()["components"]["schemas"]["GenerationRequestRequest"]
    assert schema["required"] == ["prompt"]
    assert schema["properties"]["steps"]["maximum"] == 150
    for name, wrong in (("steps", 151), ("n", 0), ("seed", -1), ("format", "gif"), ("prompt", "x" * 4001)):
        assert list(Draft202012Validator(schema["properties"][name]).iter_errors(wrong)), name
        answer = ada.client().post("/v1/generations", {"prompt": "a", name: wrong}, format="json")
        assert answer.status_code == 400


def test_the_reference_loads_nothing_from_elsewhere_and_runs_no_inline_script() -> None:
    page = Client().get("/docs")
    assert page.status_code == 200
    text = page.content.decode()
    assert "http" not in re.sub(r'lang="en"', "", text).replace("http-equiv", "")
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert "script-src 'self';" in page["Content-Security-Policy"]
    for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert Client().get(asset).status_code == 200, asset


@pytest.mark.parametrize("code", KINDS)
def test_every_problem_leads_to_a_page_that_says_what_to_do(code: str) -> None:
    answer = Client().get(f"/docs/errors/{code}", headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert KINDS[code].title in answer.content.decode()
    assert len(REMEDIES[code]) > 20


def test_an_unknown_problem_has_no_page() -> None:
    assert Client().get("/docs/errors/no_such_code").status_code == 404


def test_all_that_is_told_of_a_model_is_described(ada: Customer) -> None:
    make_workshop("nowhere")
    described = openapi.document()["components"]["schemas"]["ModelAnswer"]["properties"]
    for model in ada.client().get("/v1/models").json()["data"]:
        assert model.keys() <= described.keys()


@pytest.mark.parametrize("what", ["generations", "images/{image_id}/variations", "images/{image_id}/upscale"])
def test_every_call_that_makes_a_generation_tells_of_its_headers(what: str) -> None:
    parameters = openapi.document()["paths"][f"/v1/{what}"]["post"]["parameters"]
    assert {"Idempotency-Key", "Prefer"} <= {each["name"] for each in parameters}
