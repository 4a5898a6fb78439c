"""Not yours looks exactly like not there."""

from uuid import uuid4

import pytest

from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop

PATHS = ["/v1/generations/{}", "/v1/generations/status/{}", "/v1/generations/result/{}"]


@pytest.mark.parametrize("path", PATHS)
def test_another_tenants_generation_is_not_there(ada: Customer, bob: Customer, workshop: Workshop, path: str) -> None:
    generation = workshop.submit(ada)
    assert ada.client().get(path.format(generation)).status_code in {200, 202}
    foreign, absent = (bob.client().get(path.format(each)) for each in (generation, uuid4()))
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert foreign.json() | {"instance": ""} == absent.json() | {"instance": ""}


@pytest.mark.parametrize("path", PATHS)
def test_an_id_that_is_no_uuid_is_not_there(ada: Customer, path: str) -> None:
    answer = ada.client().get(path.format("1"))
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_a_key_may_do_what_its_scopes_say(workshop: Workshop) -> None:
    reader = make_customer("Reader", scopes=["generations:read"])
    answer = reader.client().post("/v1/generations", workshop.body(), format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    writer = make_customer("Writer", scopes=["generations:write"])
    generation = workshop.submit(writer)
    answer = writer.client().get(f"/v1/generations/{generation}")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
