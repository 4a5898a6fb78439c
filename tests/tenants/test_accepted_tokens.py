"""The ways to a good token: ours, and the ones customers sign themselves."""

import time

import jwt
import pytest
from django.conf import settings
from django.test import override_settings

from easel.database import platform_role
from tenants import keys, tokens
from tenants.models import APIKey
from tests.cast import Customer, make_customer
from tests.tenants.door import bearer, body, knock, sign, soon


def admitted(token: str, customer: Customer, *, key_hint: str = "") -> None:
    response = bearer(token, key_hint=key_hint)
    assert response.status_code == 200, response.content
    assert body(response) == {"tenant": str(customer.id), "key": customer.key.public_id}


def test_an_issued_token_opens_the_door(ada: Customer) -> None:
    admitted(ada.token(), ada)


def test_an_issued_token_is_written_as_rfc_9068_says(ada: Customer) -> None:
    token = ada.token()
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (header["typ"], header["alg"]) == ("at+jwt", "HS256")
    assert header["kid"] == settings.TOKEN_KEYS[0].partition(":")[0]
    assert set(claims) == {"iss", "aud", "sub", "client_id", "exp", "iat", "jti", "scope"}
    assert claims["sub"] == claims["client_id"] == ada.key.public_id
    assert claims["scope"] == " ".join(sorted(keys.SCOPES))
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["exp"] == pytest.approx(time.time() + 3600, abs=5)


def test_two_issued_tokens_are_never_the_same(ada: Customer) -> None:
    assert ada.token() != ada.token()


def test_only_exp_is_needed_with_the_key_named_beside_the_token(ada: Customer) -> None:
    admitted(sign({"exp": soon()}, ada.secret), ada, key_hint=ada.key.public_id)


def test_kid_names_the_key(ada: Customer) -> None:
    admitted(sign({"exp": soon()}, ada.secret, kid=ada.key.public_id), ada)


def test_iss_names_the_key(ada: Customer) -> None:
    admitted(sign({"exp": soon(), "iss": ada.key.public_id}, ada.secret), ada)


def test_names_that_are_no_keys_of_ours_do_not_disturb(ada: Customer) -> None:
    token = sign({"exp": soon(), "iss": "my-service"}, ada.secret, kid="default")
    admitted(token, ada, key_hint=ada.key.public_id)
    admitted(ada.token(), ada, key_hint="a key of some gateway")


def test_a_common_library_makes_a_good_token(ada: Customer) -> None:
    claims = {"exp": soon(), "iat": soon(0), "nbf": soon(0), "iss": ada.key.public_id, "sub": 7, "aud": tokens.AUDIENCE}
    admitted(jwt.encode(claims, ada.secret, "HS256"), ada)


def test_the_audience_may_be_one_of_several(ada: Customer) -> None:
    admitted(sign({"exp": soon(), "aud": ["x", tokens.AUDIENCE]}, ada.secret, kid=ada.key.public_id), ada)


def test_clocks_may_differ_a_little(ada: Customer) -> None:
    for exp in (soon(-20), soon(3600 + 20), time.time() + 0.5):
        admitted(sign({"exp": exp, "nbf": soon(20)}, ada.secret, kid=ada.key.public_id), ada)


def test_the_scheme_is_read_in_any_case(ada: Customer) -> None:
    assert knock(f"bEARER   {ada.token()} ").status_code == 200


def test_an_issued_token_may_do_what_it_was_issued_for(ada: Customer) -> None:
    record = keys.find(ada.key.public_id)
    assert record is not None
    reduced = tokens.issue(record, frozenset({"generations:read"}))
    assert bearer(reduced).status_code == 200
    assert bearer(reduced, method="post").status_code == 403
    assert bearer(ada.token(), method="post").status_code == 200


def test_a_self_signed_token_may_reduce_its_scopes(ada: Customer) -> None:
    reduced = sign({"exp": soon(), "scope": "generations:write other"}, ada.secret, kid=ada.key.public_id)
    assert bearer(reduced, method="post").status_code == 200
    assert bearer(reduced).status_code == 403


def test_no_token_widens_what_its_key_may_do() -> None:
    reader = make_customer("Reader", ["generations:read"])
    claims = {"exp": soon(), "scope": "generations:read generations:write"}
    assert bearer(sign(claims, reader.secret, kid=reader.key.public_id), method="post").status_code == 403


def test_a_scope_taken_from_the_key_is_gone_from_its_old_tokens(ada: Customer) -> None:
    token = ada.token()
    with platform_role():
        APIKey.objects.filter(id=ada.key.id).update(scopes=["generations:read"])
    keys.forget_all()
    assert bearer(token).status_code == 200
    assert bearer(token, method="post").status_code == 403


def test_tokens_stay_good_while_the_ring_turns(ada: Customer) -> None:
    old = ada.token()
    with override_settings(TOKEN_KEYS=["9:" + "C" * 43 + "=", *settings.TOKEN_KEYS]):
        admitted(old, ada)
        new = ada.token()
        assert jwt.get_unverified_header(new)["kid"] == "9"
        admitted(new, ada)


def test_reading_by_head_needs_the_scope_of_reading(ada: Customer) -> None:
    assert bearer(ada.token(), method="head").status_code == 200
