"""How many statements each read takes, however much there is to read. A new one needs a row here."""

import pytest

from easel import openapi
from tests.cast import Customer
from tests.counting import queries
from tests.generation.conftest import ended, make_production, make_workshop
from tests.generation.delivered import delivered
from tests.stub_engine import StubEngine

# The scope's set_config is one of them; BEGIN and COMMIT are not.
MOST = {
    "/v1/account": 10,
    "/v1/allowances": 3,
    "/v1/audit": 3,
    "/v1/audit/verification": 5,
    "/v1/complaints/{complaint_id}": 2,
    "/v1/data-policy": 4,
    "/v1/events": 0,
    "/v1/generations": 3,
    "/v1/generations/result/{generation_id}": 3,
    "/v1/generations/status/{generation_id}": 5,  # of one that waits: its place in the queue is counted, too
    "/v1/generations/{generation_id}": 3,
    "/v1/generations/{generation_id}/events": 2,
    "/v1/generations/{generation_id}/appeals": 4,
    "/v1/images/{image_id}/shares": 3,
    "/v1/keys": 2,
    "/v1/keys/{public_id}": 2,
    "/v1/models": 2,
    "/v1/moderation-policy": 6,
    "/v1/moderation-policy/keys/{public_id}": 7,
    "/v1/routes": 15,  # two for each of the seven categories: it is asked for rarely
    "/v1/generations/{generation_id}/tags": 3,
    "/v1/samplers": 0,
    "/v1/tags": 2,
    "/v1/usage": 3,
    "/v1/webhooks": 2,
    "/v1/webhooks/default/deliveries": 3,
    "/v1/webhooks/default/secret": 2,
    "/v1/webhooks/{endpoint_id}": 2,
    "/v1/webhooks/{endpoint_id}/deliveries": 3,
}
STREAMED = {"/v1/audit/export"}  # as many as it has parts
SEARCHED = {"/v1/generations/search"}  # as many as it takes to open what it searches
ELSEWHERE = {"/v1/models/{name}/sample", "/v1/provenance/anchors"}  # files of the machine
SUBMIT = 14  # one of them for its words: whether a person has cleared them
CACHED = 13  # three of them ask for the earlier pictures, and whether they may be handed over


def reads() -> set[str]:
    return {path for path, item in openapi.document()["paths"].items() if path.startswith("/v1/") and "get" in item}


def test_every_read_has_a_row() -> None:
    assert reads() == MOST.keys() | STREAMED | SEARCHED | ELSEWHERE


@pytest.mark.parametrize("path", MOST)
def test_a_read_takes_few_statements_however_much_there_is(ada: Customer, path: str) -> None:
    client, workshop = ada.client(), make_workshop("nowhere")
    endpoint = {"url": "https://93.184.215.14/hook", "events": ["balance.low"]}
    for _ in range(4):
        generation = workshop.submit(ada)
        hook = client.post("/v1/webhooks", endpoint, format="json").json()["id"]
        client.post(f"/v1/webhooks/{hook}/test", format="json")
    client.get("/v1/webhooks/default/secret")
    image = delivered(ada).id
    for _ in range(4):
        client.post(f"/v1/images/{image}/shares", {}, format="json")
        filed = client.post(f"/v1/images/{image}/complaints", {"reason": "other"}, format="json").json()
    named = {"generation_id": generation, "public_id": ada.key.public_id, "endpoint_id": hook}
    filled = path.format(**named, image_id=image, complaint_id=filed["id"])
    client.get(filled)  # what is remembered for a few seconds
    with queries() as statements:
        answer = client.get(filled)
    assert answer.status_code in {200, 202}, answer.content
    assert len(statements) <= MOST[path], statements


def test_a_submission_takes_few_statements(ada: Customer) -> None:
    workshop = make_workshop("nowhere")
    workshop.submit(ada)
    with queries() as statements:
        workshop.submit(ada)
    assert len(statements) <= SUBMIT, statements


def test_a_cached_answer_takes_few_statements(ada: Customer) -> None:
    workshop = make_workshop("nowhere")
    production, body = make_production(StubEngine()), workshop.body(seed=1)
    try:
        generation = workshop.submit(ada, seed=1)
        production.drain(workshop.pool)
        assert ended(generation).status == "completed"
    finally:
        production.close()
    client = ada.client()
    client.post("/v1/generations", body, format="json")
    with queries() as statements:
        answer = client.post("/v1/generations", body, format="json")
    assert answer.json()["cached"] is True
    assert len(statements) <= CACHED, statements
