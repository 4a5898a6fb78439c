"""Sealed requests are opened once, by Easel alone; their answers are sealed; whatever was altered is refused."""

import importlib.util
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from django.test import Client

from billing import throttling
from billing.models import NOBODY, Allowance
from easel import sealed_call
from easel.crypto import TamperedSeal
from easel.database import platform_role
from easel.sealed_call import Envelope
from generation.models import Generation
from generation.production import Production
from tenants import key_changes, sealed_calls
from tenants.audit import Actor
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended
from tests.web.live import ask, easel_served

ROOT = Path(__file__).resolve().parents[2]


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sealed_client", ROOT / "examples" / "sealed_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["sealed_client"] = module
    spec.loader.exec_module(module)
    return module


EXAMPLE = load_example()


class Wire:
    """What goes over the network, in Django's test client, seen by an eavesdropper and open to a meddler."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.last: tuple[str, str, dict[str, str], bytes | None] | None = None

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        path = url.removeprefix("http://easel.test")
        self.last = (method, path, dict(headers), body)
        answer = self.send(*self.last)
        self.seen += [body or b"", answer.content]
        return answer.status_code, answer.headers, answer.content

    @staticmethod
    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        content_type = headers.get("Content-Type", "application/json")
        return Client().generic(method, path, body or b"", content_type=content_type, headers=dict(headers))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def client_of(customer: Customer, wire: Wire, algorithm: str = "sm4-gcm") -> Any:
    return EXAMPLE.SealedClient(
        "http://easel.test", customer.key.public_id, customer.secret, algorithm=algorithm, send=wire
    )


@pytest.mark.parametrize("algorithm", ["sm4-gcm", "aes-256-gcm"])
def test_the_example_client_draws_a_picture_and_nobody_on_the_way_reads_it(
    ada: Customer, workshop: Workshop, production: Production, wire: Wire, algorithm: str
) -> None:
    client = client_of(ada, wire, algorithm)
    accepted = client.post("/v1/generations", workshop.body(prompt="a secret garden"))
    assert accepted.status == 202, accepted.content
    assert accepted.json()["prompt"] == "a secret garden"
    production.drain(workshop.pool)
    task = accepted.json()["task_id"]
    ended(task)
    assert client.get(f"/v1/generations/status/{task}").json()["status"] == "completed"
    picture = client.get(f"/v1/generations/result/{task}", accept="image/*")
    assert picture.content_type == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    for seen in wire.seen:
        assert b"garden" not in seen
        assert b"PNG" not in seen[:400]
        assert b"prompt" not in seen


def test_a_sealed_call_that_would_wait_is_answered_at_once_and_sealed(ada: Customer, workshop: Workshop) -> None:
    """What is answered later is written past the seal, so under seal nothing is answered later."""
    generation = workshop.submit(ada, prompt="a secret garden")
    with easel_served() as port:
        answers = [
            ask(port, "GET", path, token=ada.token(), Prefer="wait=1", Easel_Seal="1")
            for path in (f"/v1/generations/{generation}", f"/v1/generations/{generation}/events")
        ]
        for answer in answers:
            assert answer.headers["Content-Type"] == sealed_call.MEDIA_TYPE
            assert answer.headers["Preference-Applied"] is None
            assert b"queued" not in answer.read()


def test_an_error_is_sealed_too(ada: Customer, wire: Wire) -> None:
    answer = client_of(ada, wire).post("/v1/generations", {"prompt": "x", "stepz": 3})
    assert answer.status == 400
    assert answer.content_type == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == "stepz"
    assert b"stepz" not in b"".join(wire.seen)


def test_a_sealed_request_is_good_once(ada: Customer, workshop: Workshop, wire: Wire) -> None:
    client_of(ada, wire).post("/v1/generations", workshop.body())
    assert wire.last is not None
    again = wire.send(*wire.last)
    assert (again.status_code, again.json()["code"]) == (409, "sealed_replayed")
    with platform_role():
        assert Generation.objects.filter(tenant_id=ada.id).count() == 1


def test_what_is_not_opened_counts_against_the_rate(ada: Customer, workshop: Workshop, wire: Wire) -> None:
    with platform_role():
        Allowance.objects.create(tenant=ada.tenant, key_id=NOBODY, requests_per_minute=3)
    throttling.forget_all()
    client_of(ada, wire).post("/v1/generations", workshop.body())
    assert wire.last is not None
    answers = [wire.send(*wire.last) for _ in range(8)]  # two minutes' worth
    assert {answer.json()["code"] for answer in answers} == {"sealed_replayed", "rate_limited"}
    assert all("RateLimit" in answer for answer in answers)


def refused(wire: Wire, **changes: Any) -> str:
    assert wire.last is not None
    method, path, headers, body = wire.last
    headers = {**headers, **changes.get("headers", {})}
    answer = wire.send(method, changes.get("path", path), headers, changes.get("body", body))
    assert answer.status_code == 400, answer.content
    return str(answer.json()["code"])


def test_what_was_altered_on_the_way_is_refused(ada: Customer, bob: Customer, workshop: Workshop, wire: Wire) -> None:
    client_of(ada, wire).post("/v1/generations", workshop.body())
    assert wire.last is not None
    body = wire.last[3]
    assert body is not None
    for position in (0, 1, 20, 30, 41, len(body) - 1):
        altered = bytearray(body)
        altered[position] ^= 1
        assert refused(wire, body=bytes(altered)) == "sealed_invalid", position
    for short in (body[:-1], body[:57], body[:10], b"\1"):
        assert refused(wire, body=short) == "sealed_invalid"
    assert refused(wire, path="/v1/quotes") == "sealed_invalid"
    assert refused(wire, path="/v1/generations?x=1") == "sealed_invalid"
    earlier = str(int(wire.last[2]["Easel-Timestamp"]) - 1)
    assert refused(wire, headers={"Easel-Timestamp": earlier}) == "sealed_invalid"
    token = f"Bearer {bob.token()}"
    assert refused(wire, headers={"Authorization": token}) == "sealed_invalid"


@pytest.mark.parametrize("off", [-301, 301])
def test_a_request_from_another_time_is_refused(
    ada: Customer, workshop: Workshop, wire: Wire, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    client = client_of(ada, wire)
    now, token = time.time(), ada.token()
    monkeypatch.setattr(client, "_token", lambda: token)
    monkeypatch.setattr(sealed_calls, "time", SimpleNamespace(time=lambda: now))  # stands still, to be exact
    monkeypatch.setattr(EXAMPLE, "time", SimpleNamespace(time=lambda: now + off))
    with pytest.raises(RuntimeError, match="sealed_invalid"):
        client.post("/v1/generations", workshop.body())
    assert refused(wire) == "sealed_invalid"


@pytest.mark.parametrize("timestamp", ["", "soon", "-5", "1e9", "²"])
def test_a_missing_or_malformed_timestamp_is_named(
    ada: Customer, workshop: Workshop, wire: Wire, timestamp: str
) -> None:
    client_of(ada, wire).post("/v1/generations", workshop.body())
    assert refused(wire, headers={"Easel-Timestamp": timestamp}) == "sealed_invalid"


def test_without_a_token_nothing_is_opened(ada: Customer, workshop: Workshop, wire: Wire) -> None:
    client_of(ada, wire).post("/v1/generations", workshop.body())
    assert wire.last is not None
    method, path, headers, body = wire.last
    answer = wire.send(method, path, {**headers, "Authorization": "Bearer nonsense"}, body)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_while_a_rotation_overlaps_both_secrets_open_what_they_asked_for(ada: Customer, wire: Wire) -> None:
    second = key_changes.rotate(ada.key, overlap=timedelta(hours=1), actor=Actor(kind="key", name="test"))
    for secret in (ada.secret, second):
        client = EXAMPLE.SealedClient("http://easel.test", ada.key.public_id, secret, algorithm="sm4-gcm", send=wire)
        assert client.get("/v1/account").json()["name"] == "Ada"
        assert client.post("/v1/quotes", {"stepz": 3}).json()["errors"][0]["field"] == "stepz"


def test_an_altered_answer_or_one_of_another_request_does_not_open(ada: Customer, wire: Wire) -> None:
    client = client_of(ada, wire)
    real = wire.__call__

    def meddled(*given: Any) -> tuple[int, Mapping[str, str], bytes]:
        status, headers, body = real(*given)
        return status, headers, body[:-1] + bytes([body[-1] ^ 1])

    client._send = meddled
    with pytest.raises(InvalidTag):
        client.get("/v1/account")
    client._send = lambda *given: (500, *real(*given)[1:])
    with pytest.raises(InvalidTag):
        client.get("/v1/account")
    client._send = lambda method, url, headers, body: real(method, url.replace("account", "models"), headers, body)
    with pytest.raises(InvalidTag):
        client.get("/v1/account")


def test_each_direction_has_a_key_of_its_own(ada: Customer) -> None:
    secret = ada.secret.encode()
    sealed = sealed_call.seal(b"x", secret, b"", direction="request", version=1, key_id=ada.key.public_id)
    assert sealed.open(secret, b"", direction="request") == b"x"
    with pytest.raises(TamperedSeal):
        sealed.open(secret, b"", direction="answer")


def test_the_documented_vectors_hold() -> None:
    document = (ROOT / "docs" / "formats.md").read_text()
    told = dict(re.findall(r"^\| `(0[12])` \| `([0-9a-f]{60,})` \|$", document, re.MULTILINE))
    assert told.keys() == {"01", "02"}
    key_id, secret = "ek_live_" + "B" * 20, ("es_" + "A" * 43).encode()
    authenticated = sealed_call.request_data(
        method="POST", path="/v1/generations", key_id=key_id, timestamp="1700000000"
    )
    for version, body in told.items():
        envelope = Envelope.read(bytes.fromhex(version) + key_id.encode() + bytes(range(12)) + bytes.fromhex(body))
        assert envelope.open(secret, authenticated, direction="request") == b'{"prompt":"a red apple"}'


def test_a_call_that_has_no_use_for_a_body_opens_it_all_the_same(ada: Customer, workshop: Workshop, wire: Wire) -> None:
    client, path = client_of(ada, wire), f"/v1/generations/{workshop.submit(ada)}/cancel"
    answer = client.post(path, {})
    assert (answer.status, answer.json()["status"]) == (200, "canceled")
    assert wire.last is not None
    again = wire.send(*wire.last)
    assert (again.status_code, again.json()["code"]) == (409, "sealed_replayed")
    empty = client._call("POST", path, b"")
    assert (empty.status, empty.json()["code"]) == (409, "already_finished")


def test_what_is_streamed_is_refused_and_not_told_in_clear(ada: Customer, wire: Wire) -> None:
    answer = client_of(ada, wire).get("/v1/audit/export")
    assert (answer.status, answer.json()["code"]) == (406, "not_acceptable")
    assert b"key.created" not in b"".join(wire.seen)
