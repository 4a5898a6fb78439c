"""Whatever is sent: no 500, no status and no body that the description does not know, and nothing of another tenant.
Schemathesis makes the requests from `/openapi.json`, good ones and bad ones. `EASEL_FUZZ_CASES` says how many
(`make soak`: 10,000).

Two tenants take turns, each with a token of its own. Into what one of them sends, ids of the other's objects are put,
into paths, queries and bodies: nothing of the other's may be answered, and no row of the other's may change.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from easel.database import platform_role
from generation.models import Generation, Image
from tenants.scope import TenantManager
from tests.cast import make_customer
from tests.generation.conftest import make_workshop
from tests.tenants import walks
from tests.tenants.test_the_walks_notice import altered
from tests.tenants.walks import NAMES_NOTHING, World

CASES = int(os.environ.get("EASEL_FUZZ_CASES", "1000"))
CHECKS = [checks.not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Fields of bodies and queries that name an object, and which object of the other tenant's is put there.
NAMING = {
    "model": "name", "init_image": "image_id", "mask": "image_id", "quote": "generation_id", "ids": "generation_id",
    "id": "generation_id", "upload": "image_id", "key": "public_id", "client_id": "public_id", "tenant": "tenant",
    "cursor": "generation_id", "ticket": "generation_id",
}  # fmt: skip
SPENT = {"public_id", "whose"}  # a key that was revoked or rotated could not go on asking

application = get_wsgi_application()
schema = schemathesis.openapi.from_wsgi("/openapi.json", application)
OPERATIONS = {found.ok().label: found.ok() for found in schema.get_all_operations()}

Worlds = dict[GenerationMode, tuple[World, World]]


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    """Who asks, and whose objects they name: the other way round for requests that are wrong."""
    make_workshop("nowhere", is_default=True)
    ada, bob = _world("Ada"), _world("Bob")
    return dict(zip(GenerationMode, [(bob, ada), (ada, bob)], strict=True))


def _world(name: str) -> World:
    world = walks.make_world(make_customer(name), status=Generation.Status.COMPLETED)
    world.objects["tenant"] = str(world.customer.id)
    with platform_role():
        Image.objects.filter(tenant=world.customer.tenant).update(released_at="2026-01-01T00:00:00Z")
    return world


@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("mode", GenerationMode)
def test_an_operation_keeps_to_its_description_and_its_tenant(label: str, mode: GenerationMode, worlds: Worlds) -> None:
    caller, other = worlds[mode]
    before = walks.state_of(other.customer.id)
    try:
        _run(label, mode, caller, other)
    except Unsatisfiable:
        pytest.skip("nothing about this call can be wrong")
    assert walks.changed(before, walks.state_of(other.customer.id)) == []


def _run(label: str, mode: GenerationMode, caller: World, other: World) -> None:
    operation = OPERATIONS[label]
    headers = {"Authorization": f"Bearer {caller.customer.token()}", "X-Forwarded-For": "192.0.2.1"}

    @settings(
        max_examples=max(1, CASES // (2 * len(OPERATIONS))),
        deadline=None,
        database=None,
        derandomize=CASES <= 1000,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), whose=st.sampled_from(["theirs", "own", "nobody's"]))
    def keeps(case: Any, whose: str) -> None:
        objects = {"theirs": other.objects, "own": caller.objects, "nobody's": {}}[whose]
        named = _name(case, objects, own=whose == "own")
        case.headers = {**(case.headers or {}), **headers}
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        said = _without(response.text, _sent(case))
        shown = sorted(mark for mark in other.marks if mark in said)
        assert not shown, f"{label} shows the other tenant's {shown}"
        if whose == "theirs" and named:
            assert response.status_code >= 400, f"{label} does something with the other tenant's {named}"

    keeps()


def _name(case: Any, objects: dict[str, str], *, own: bool) -> list[str]:
    """Put ids of these objects where an object is named. Returns the path's parameters that name one now."""
    named = []
    for parameter in case.path_parameters or {}:
        if parameter in objects and not (own and parameter in SPENT):
            case.path_parameters[parameter] = objects[parameter]
            named += [] if parameter in NAMES_NOTHING else [parameter]
    for place in (case.body, case.query):
        for field in NAMING.keys() & (place.keys() if isinstance(place, dict) else set()):
            if NAMING[field] in objects:
                value = objects[NAMING[field]]
                place[field] = [value] if isinstance(place[field], list) else value
    return named


def _sent(case: Any) -> Iterator[str]:
    """What an answer may repeat, because the request said it."""
    yield from map(str, (case.path_parameters or {}).values())
    yield from map(str, (case.query or {}).values())
    for value in case.body.values() if isinstance(case.body, dict) else ():
        yield from map(str, value if isinstance(value, list) else [value])


def _without(text: str, parts: Iterator[str]) -> str:
    for part in parts:
        for spelled in {part, json.dumps(part)[1:-1]}:
            text = text.replace(spelled, "") if len(spelled) >= 8 else text
    return text


def test_it_would_notice_a_wall_that_was_taken_away(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import models

    caller, other = _world("Ada"), _world("Bob")  # nothing of theirs was deleted yet
    label = "POST /v1/generations/{generation_id}/tickets"  # which asks for nothing but the row
    _run(label, GenerationMode.POSITIVE, caller, other)
    monkeypatch.setattr(TenantManager, "get_queryset", models.Manager.get_queryset)
    with altered("generation_generation", "true"), pytest.raises(AssertionError, match="the other tenant's"):
        _run(label, GenerationMode.POSITIVE, caller, other)
