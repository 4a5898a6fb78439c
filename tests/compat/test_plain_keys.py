"""A key's own string opens `/compat/`, and there alone: counted until it is proven, and refused once revoked."""

import base64

import pytest
from django.test import Client, override_settings
from rest_framework.test import APIClient

from tenants import key_changes, keys, plain_keys
from tenants.audit import Actor
from tests.cast import Customer
from tests.compat.conftest import another_key, word

MODELS = "/compat/openai/v1/models"
ACTOR = Actor(kind="key", name="test", address="127.0.0.1")


@pytest.fixture(autouse=True)
def nobody_is_proven() -> None:
    plain_keys.forget_all()


def ask(authorization: str, *, path: str = MODELS, address: str = "198.51.100.7") -> int:
    return Client().get(path, headers={"authorization": authorization}, REMOTE_ADDR=address).status_code


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_every_way_to_write_it(ada: Customer) -> None:
    public_id, secret = ada.key.public_id, ada.secret
    good = (f"Bearer {public_id}.{secret}", f"bearer {public_id}:{secret}", f"Token {public_id}.{secret}",
            basic(public_id, secret), f"Bearer {ada.token()}")  # fmt: skip
    assert [ask(each) for each in good] == [200] * len(good)
    bad = ("", "Bearer", "Bearer ", f"Bearer {public_id}", f"Bearer {public_id}.", f"Bearer {secret}",
           f"Bearer {public_id}.{secret}x", f"Bearer {public_id}.{secret[:-1]}", f"Bearer {public_id}.es_wrong",
           basic(public_id, "es_wrong"), basic(public_id, ""), "Basic !!!", f"Bearer {public_id} {secret}",
           f"Bearer ek_live_{'0' * 20}.{secret}", basic("\xff", secret), f"Digest {public_id}.{secret}")  # fmt: skip
    assert [ask(each) for each in bad] == [401] * len(bad)


def test_it_opens_nothing_of_v1(ada: Customer) -> None:
    assert ask(f"Bearer {word(ada)}", path="/v1/models") == 401


def test_a_revoked_key_and_a_suspended_account_are_refused(ada: Customer) -> None:
    authorization = f"Bearer {word(ada)}"
    assert ask(authorization) == 200
    key_changes.revoke(ada.key, actor=ACTOR)
    keys.forget(ada.key.public_id)
    answer = Client().get(MODELS, headers={"authorization": authorization})
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "This API key was revoked.")


def test_an_address_outside_of_the_keys_networks_is_refused(ada: Customer) -> None:
    key_changes.change(ada.key, values={"allowed_networks": ["203.0.113.0/24"]}, actor=ACTOR)
    keys.forget(ada.key.public_id)
    assert ask(f"Bearer {word(ada)}") == 403
    assert ask(f"Bearer {word(ada)}", address="203.0.113.9") == 200


def test_a_key_can_do_no_more_than_its_scopes(ada: Customer) -> None:
    reader = another_key(ada, without="generations:write")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {word(reader)}")
    answer = client.post("/compat/openai/v1/images/generations", {"prompt": "x"}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


def test_guesses_are_counted_and_what_was_proven_is_not(ada: Customer, bob: Customer) -> None:
    good, wrong = f"Bearer {word(ada)}", f"Bearer {ada.key.public_id}.es_{'x' * 43}"
    with override_settings(TOKENS_PER_MINUTE={"address": 1_000, "client": 3}):
        assert [ask(good) for _ in range(6)] == [200] * 6
        guesses = [ask(wrong, address="198.51.100.8") for _ in range(8)]
        assert guesses[0] == 401
        assert 429 in guesses
        plain_keys.forget_all()
        assert ask(good, address="198.51.100.9") == 200, "who has the key is not locked out by who guesses"
        assert ask(f"Bearer {word(bob)}") == 200
    with override_settings(TOKENS_PER_MINUTE={"address": 2, "client": 1_000}):
        nobodys = [f"Bearer ek_live_{number:020d}.es_{'x' * 43}" for number in range(3)]
        assert [ask(each, address="198.51.100.20") for each in nobodys] == [401, 401, 429]


def test_nobody_new_comes_in_while_nobody_can_count(ada: Customer, bob: Customer) -> None:
    from easel import ratelimit

    assert ask(f"Bearer {word(ada)}") == 200
    ratelimit._Absence.until = float("inf")
    try:
        answer = Client().get(MODELS, headers={"authorization": f"Bearer {word(bob)}"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
        assert ask(f"Bearer {word(ada)}") == 200
    finally:
        ratelimit._Absence.until = 0.0
