"""POST /oauth/token: client credentials for a token, as RFC 6749 says it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from random import getrandbits
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
import pytest
from django.http import HttpResponse
from django.test import Client

from easel.database import platform_role
from tenants import keys
from tenants.models import APIKey
from tests.cast import Customer, make_customer
from tests.tenants.door import bearer

FORM = "application/x-www-form-urlencoded"
EVERY_SCOPE = " ".join(sorted(keys.SCOPES))
GRANT = {"grant_type": "client_credentials"}


def stranger() -> Client:
    """A client from an address of its own: how often one may ask is another test's matter."""
    return Client(REMOTE_ADDR=str(IPv6Address(getrandbits(128))))


def ask(form: dict[str, Any] | str, *, authorization: str = "", content_type: str = FORM) -> HttpResponse:
    data = form if isinstance(form, str) else urlencode(form)
    headers = {"Authorization": authorization} if authorization else {}
    response: HttpResponse = stranger().post("/oauth/token", data=data, content_type=content_type, headers=headers)
    return response


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()


def form_of(customer: Customer, **more: str) -> dict[str, str]:
    return {**GRANT, "client_id": customer.key.public_id, "client_secret": customer.secret, **more}


def granted(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    answered: dict[str, Any] = json.loads(response.content)
    assert set(answered) == {"access_token", "token_type", "expires_in", "scope"}
    return answered


def refused(response: HttpResponse, error: str) -> None:
    answered = json.loads(response.content)
    assert set(answered) == {"error", "error_description"}
    assert answered["error"] == error
    assert response.status_code == (401 if error == "invalid_client" else 400)
    assert response.has_header("WWW-Authenticate") == (error == "invalid_client")
    assert response["Cache-Control"] == "no-store"
    assert all(" " <= letter <= "~" and letter not in '"\\' for letter in answered["error_description"])


def test_credentials_in_the_form_are_good_for_a_token_of_one_hour(ada: Customer) -> None:
    answered = granted(ask(form_of(ada)))
    assert answered["token_type"] == "Bearer"
    assert answered["expires_in"] == 3600
    assert answered["scope"] == EVERY_SCOPE
    assert bearer(answered["access_token"]).status_code == 200


def test_credentials_by_http_basic_are_good_too(ada: Customer) -> None:
    authorization = basic(ada.key.public_id, ada.secret)
    assert bearer(granted(ask(GRANT, authorization=authorization))["access_token"]).status_code == 200
    granted(ask({**GRANT, "client_id": ada.key.public_id}, authorization=authorization))
    granted(ask(GRANT, authorization=authorization.replace("Basic", "bAsIc")))


def test_fewer_scopes_can_be_asked_for(ada: Customer) -> None:
    answered = granted(ask(form_of(ada, scope="generations:read")))
    assert answered["scope"] == "generations:read"
    assert bearer(answered["access_token"]).status_code == 200
    assert bearer(answered["access_token"], method="post").status_code == 403


@pytest.mark.parametrize("scope", ["", "  "])
def test_no_scope_means_all_that_the_key_has(scope: str, ada: Customer) -> None:
    assert granted(ask(form_of(ada, scope=scope)))["scope"] == EVERY_SCOPE


@pytest.mark.parametrize("scope", ["generations:write", "generations:read generations:write", "all", "\0", "é"])
def test_a_scope_the_key_lacks_is_invalid(scope: str) -> None:
    reader = make_customer("Reader", ["generations:read"])
    refused(ask(form_of(reader, scope=scope)), "invalid_scope")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("{id}", ""),
        ("{id}", "es_wrong"),
        ("{id}", "{secret}x"),
        ("{id}", "{secret}\0"),
        ("{id}", "\u79d8\u5bc6"),
        ("{id}\0", "{secret}"),
        ("{id}\n", "{secret}"),
        ("ek_live_00000000000000000000", "{secret}"),
        ("", "{secret}"),
        ("", ""),
        ("../{id}", "{secret}"),
    ],
)
@pytest.mark.parametrize("way", ["form", "basic"])
def test_wrong_credentials_are_an_invalid_client(way: str, name: str, secret: str, ada: Customer) -> None:
    name = name.replace("{id}", ada.key.public_id)
    secret = secret.replace("{secret}", ada.secret)
    if way == "basic":
        refused(ask(GRANT, authorization=basic(name, secret)), "invalid_client")
    else:
        refused(ask({**GRANT, "client_id": name, "client_secret": secret}), "invalid_client")


@pytest.mark.parametrize("authorization", ["Basic", "Basic !", "Basic YQ", "Basic /w==", "Basic Og==", "Bearer x"])
def test_credentials_that_cannot_be_read_are_an_invalid_client(authorization: str) -> None:
    refused(ask(GRANT, authorization=authorization), "invalid_client")


def test_another_keys_secret_is_an_invalid_client(ada: Customer, bob: Customer) -> None:
    refused(ask({**form_of(ada), "client_secret": bob.secret}), "invalid_client")


@pytest.mark.parametrize("field", ["revoked_at", "expires_at"])
def test_a_key_that_ended_is_an_invalid_client(field: str, ada: Customer) -> None:
    with platform_role():
        APIKey.objects.filter(id=ada.key.id).update(**{field: datetime.now(UTC)})
    keys.forget_all()
    refused(ask(form_of(ada)), "invalid_client")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "CLIENT_CREDENTIALS", "\0"])
def test_other_grants_are_unsupported(grant: str, ada: Customer) -> None:
    refused(ask(form_of(ada, grant_type=grant)), "unsupported_grant_type")


def test_the_grant_type_has_to_be_said(ada: Customer) -> None:
    refused(ask({name: value for name, value in form_of(ada).items() if name != "grant_type"}), "invalid_request")
    refused(ask(""), "invalid_request")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_another_content_type_is_an_invalid_request(content_type: str, ada: Customer) -> None:
    refused(ask(json.dumps(form_of(ada)), content_type=content_type), "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret", "scope", '"\\\u00e9'])
def test_a_parameter_given_twice_is_an_invalid_request(name: str, ada: Customer) -> None:
    twice = urlencode([(name, "a"), (name, "a")])
    refused(ask(f"{urlencode(form_of(ada))}&{twice}"), "invalid_request")


def test_credentials_go_one_way_not_two(ada: Customer, bob: Customer) -> None:
    authorization = basic(ada.key.public_id, ada.secret)
    refused(ask(form_of(ada), authorization=authorization), "invalid_request")
    other = {**GRANT, "client_id": bob.key.public_id}
    refused(ask(other, authorization=authorization), "invalid_request")


def test_nothing_is_read_from_the_query_string(ada: Customer) -> None:
    response = stranger().post(f"/oauth/token?{urlencode(form_of(ada))}", data="", content_type=FORM)
    refused(response, "invalid_request")


@pytest.mark.parametrize("method", ["get", "put", "delete", "options"])
def test_other_methods_are_not_allowed(method: str) -> None:
    response = Client().generic(method.upper(), "/oauth/token")
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert json.loads(response.content)["code"] == "method_not_allowed"


def test_a_token_does_not_outlive_its_key(ada: Customer) -> None:
    with platform_role():
        key, secret = keys.mint(
            ada.tenant,
            name="short",
            scopes=["generations:read"],
            expires_at=datetime.now(UTC) + timedelta(seconds=120),
        )
    answered = granted(ask({**GRANT, "client_id": key.public_id, "client_secret": secret}))
    claims = jwt.decode(answered["access_token"], options={"verify_signature": False})
    assert 110 <= answered["expires_in"] <= 120
    assert claims["exp"] - claims["iat"] == pytest.approx(answered["expires_in"], abs=1)
