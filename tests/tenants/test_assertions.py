"""RFC 7523: a program proves itself by a word it signed, or exchanges it for a token, and sends no secret."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT
from django.test import override_settings

from easel.embedded.stack import Stack
from tenants import keys
from tenants.clients import ASSERTION_TYPE
from tenants.oauth import JWT_BEARER
from tests.cast import Customer, make_customer
from tests.tenants.door import bearer, sign, soon
from tests.tenants.test_oauth import ask, granted, refused, stranger

HERE = "http://testserver/oauth/token"


def word(customer: Customer, secret: str = "", **claims: Any) -> str:
    name = customer.key.public_id
    said = {"iss": name, "sub": name, "aud": HERE, "exp": soon(), "jti": uuid4().hex, **claims}
    return sign({key: value for key, value in said.items() if value is not None}, secret or customer.secret)


def as_client(assertion: str, **more: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **more,
    }


def as_grant(assertion: str) -> dict[str, str]:
    return {"grant_type": JWT_BEARER, "assertion": assertion}


@pytest.mark.parametrize("way", [as_client, as_grant])
@pytest.mark.parametrize("audience", [HERE, "http://testserver", "urn:easel:api", ["urn:other", HERE]])
def test_an_assertion_is_good_for_a_token(way: Any, audience: Any, ada: Customer) -> None:
    answered = granted(ask(way(word(ada, aud=audience))))
    assert bearer(answered["access_token"]).status_code == 200


@pytest.mark.parametrize(("way", "error"), [(as_client, "invalid_client"), (as_grant, "invalid_grant")])
def test_an_assertion_with_a_jti_is_good_once(way: Any, error: str, ada: Customer) -> None:
    assertion = word(ada)
    granted(ask(way(assertion)))
    refused(ask(way(assertion)), error)


BAD: dict[str, dict[str, Any]] = {
    "for somebody else": {"aud": "https://other.example/oauth/token"},
    "for nobody": {"aud": None},
    "for an object": {"aud": {HERE: 1}},
    "of nobody": {"iss": None},
    "of a list": {"iss": ["ek_live_00000000000000000000"]},
    "of an unknown key": {"iss": "ek_live_00000000000000000000"},
    "about somebody else": {"sub": "ek_live_00000000000000000000"},
    "about nobody": {"sub": None},
    "about a number": {"sub": 7},
    "about a list": {"sub": ["ek_live_00000000000000000000"]},
    "expired": {"exp": 1},
    "without an end": {"exp": None},
    "too long": {"exp": soon(7200)},
    "not yet": {"nbf": soon(86_400)},
}


@pytest.mark.parametrize(("way", "error"), [(as_client, "invalid_client"), (as_grant, "invalid_grant")])
@pytest.mark.parametrize("claims", BAD.values(), ids=BAD.keys())
def test_an_assertion_that_does_not_hold_is_refused(
    way: Any, error: str, claims: dict[str, Any], ada: Customer
) -> None:
    refused(ask(way(word(ada, **claims))), error)


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "x" * 5000])
def test_what_is_no_assertion_is_refused(assertion: str) -> None:
    refused(ask(as_client(assertion)), "invalid_client")
    refused(ask(as_grant(assertion)), "invalid_grant" if assertion else "invalid_request")


def test_another_keys_secret_does_not_sign(ada: Customer, bob: Customer) -> None:
    refused(ask(as_client(word(ada, bob.secret))), "invalid_client")


def test_credentials_go_one_way_not_two_here_either(ada: Customer) -> None:
    refused(ask(as_client(word(ada), client_secret=ada.secret)), "invalid_request")
    refused(ask({**as_client(word(ada)), "client_assertion_type": "urn:other"}), "invalid_request")
    refused(ask(as_client(word(ada), client_id="ek_live_00000000000000000000")), "invalid_client")


def test_the_scope_is_narrowed_as_ever() -> None:
    reader = make_customer("Reader", ["generations:read"])
    refused(ask({**as_grant(word(reader)), "scope": "generations:write"}), "invalid_scope")


def test_the_server_says_what_it_can_do() -> None:
    answer = stranger().get("/.well-known/oauth-authorization-server")
    said = answer.json()
    assert said["issuer"] == "http://testserver"
    assert said["token_endpoint"] == HERE
    assert said["revocation_endpoint"] == "http://testserver/oauth/revoke"
    assert said["grant_types_supported"] == ["client_credentials", JWT_BEARER]
    assert said["scopes_supported"] == sorted(keys.SCOPES)
    assert said["response_types_supported"] == []
    with override_settings(BASE_URL="https://easel.example.org"):
        said = stranger().get("/.well-known/oauth-authorization-server").json()
    assert said["issuer"] == "https://easel.example.org"
    assert said["token_endpoint"] == "https://easel.example.org/oauth/token"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt"])
def test_a_known_client_library_works_unmodified(method: str, ada: Customer, served: str) -> None:
    """authlib's OAuth2Session, over HTTP: get a token by each method, call the API, give the token back."""
    endpoint = f"{served}/oauth/token"
    session = OAuth2Session(ada.key.public_id, ada.secret, scope="account:read", token_endpoint_auth_method=method)
    if method == "client_secret_jwt":
        session.register_client_auth_method(ClientSecretJWT(endpoint))
        session.token_endpoint_auth_method = ClientSecretJWT(endpoint)
    token = session.fetch_token(endpoint, grant_type="client_credentials")
    assert token["scope"] == "account:read"
    account = session.get(f"{served}/v1/account")
    assert (account.status_code, account.json()["id"]) == (200, str(ada.id))
    if method != "client_secret_jwt":
        assert session.revoke_token(f"{served}/oauth/revoke", token=token["access_token"]).status_code == 200


@pytest.fixture(scope="module")
def served(stack: Stack) -> Iterator[str]:
    stack.start("web")
    yield stack.base_url
    stack.halt("web")


def test_a_revoked_key_is_refused_by_every_process_within_five_seconds(ada: Customer, served: str) -> None:
    session = OAuth2Session(ada.key.public_id, ada.secret)
    session.fetch_token(f"{served}/oauth/token", grant_type="client_credentials")

    def answers() -> set[int]:
        """Each call on a connection of its own: either of the two processes takes it."""
        headers = {"Authorization": f"Bearer {session.token['access_token']}", "Connection": "close"}
        return {requests.get(f"{served}/v1/account", headers=headers, timeout=10).status_code for _ in range(16)}

    assert answers() == {200}
    assert requests.delete(
        f"{served}/v1/keys/{ada.key.public_id}",
        headers={"Authorization": f"Bearer {session.token['access_token']}"},
        timeout=10,
    ).status_code == 204  # fmt: skip
    time.sleep(5.0 - 0.5)  # and half a second for the calls themselves
    assert answers() == {401}
