"""Every bad token is answered by a 401 with its code and a challenge, and never by anything else."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import override_settings

from easel.crypto import token_keys
from easel.database import platform_role
from tenants import keys, tokens
from tenants.models import APIKey
from tests.cast import Customer
from tests.tenants.door import Door, bearer, body, encode, knock, sign, soon

OTHER_RING = ["1:" + "A" * 43 + "="]  # the same id, another key
RSA_PUBLIC = b"-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----\n"


def own(customer: Customer, claims: dict[str, object] | None = None, **header: object) -> str:
    """A good self-signed token but for what is given."""
    return sign({"exp": soon(), **(claims or {})}, customer.secret, **{"kid": customer.key.public_id, **header})


def issued(customer: Customer, claims: dict[str, object] | None = None, **header: object) -> str:
    """A token signed with our ring, good but for what is given; a claim that is None is left out."""
    key_id, secret = token_keys().newest
    good = {
        "iss": tokens.issuer(), "aud": tokens.AUDIENCE, "exp": soon(), "iat": soon(0),
        "client_id": customer.key.public_id, "sub": customer.key.public_id, "scope": "generations:read",
    }  # fmt: skip
    said = {name: value for name, value in {**good, **(claims or {})}.items() if value is not None}
    return sign(said, secret, **{"typ": "at+jwt", "kid": str(key_id), **header})


def unsigned(customer: Customer) -> str:
    head = encode(json.dumps({"alg": "none", "kid": customer.key.public_id}))
    return f"{head}.{encode(json.dumps({'exp': soon()}))}."


def tampered(customer: Customer) -> str:
    head, _, signature = own(customer).split(".")
    return f"{head}.{encode(json.dumps({'exp': soon(1200)}))}.{signature}"


def tampered_scope(customer: Customer) -> str:
    head, payload, signature = issued(customer).split(".")
    claims = jwt.decode(f"{head}.{payload}.{signature}", options={"verify_signature": False})
    return f"{head}.{encode(json.dumps({**claims, 'scope': 'generations:write'}))}.{signature}"


def without_exp(customer: Customer) -> str:
    return sign({}, customer.secret, kid=customer.key.public_id)


def raw_exp(text: str) -> Callable[[Customer], str]:
    """What only raw JSON can say."""
    return lambda ada: sign(f'{{"exp": {text}}}', ada.secret, kid=ada.key.public_id)


def exp(value: object) -> Callable[[Customer], str]:
    return lambda ada: own(ada, {"exp": value})


def kid(value: object) -> Callable[[Customer], str]:
    return lambda ada: sign({"exp": soon()}, ada.secret, kid=value)


def deep(ada: Customer) -> str:
    return sign('{"iss": ' + "[" * 2900, ada.secret)


BAD: dict[str, Callable[[Customer], str]] = {
    "alg none": unsigned,
    "alg none in capitals": lambda ada: own(ada, alg="NONE"),
    "alg null": lambda ada: own(ada, alg=None),
    "alg a list": lambda ada: own(ada, alg=["HS256"]),
    "alg HS512": lambda ada: own(ada, alg="HS512"),
    "RS256 said, HS256 made with the secret": lambda ada: own(ada, alg="RS256"),
    "HS256 with a public key as the secret": lambda ada: sign({"exp": soon()}, RSA_PUBLIC, kid=ada.key.public_id),
    "signed with the sealed secret": lambda ada: sign(
        {"exp": soon()}, bytes(ada.key.secret_sealed), kid=ada.key.public_id
    ),
    "signed with an empty secret": lambda ada: sign({"exp": soon()}, b"", kid=ada.key.public_id),
    "signed with Django's secret": lambda ada: sign({"exp": soon()}, settings.SECRET_KEY, kid=ada.key.public_id),
    "signature cut": lambda ada: own(ada)[:-4],
    "signature missing": lambda ada: own(ada).rpartition(".")[0] + ".",
    "payload tampered": tampered,
    "scope of an issued token tampered": tampered_scope,
    "typ of another kind": lambda ada: own(ada, typ="logout+jwt"),
    "typ an object": lambda ada: own(ada, typ={"at+jwt": 1}),
    "typ of ours, signed by the customer": lambda ada: own(ada, typ="at+jwt", kid="1"),
    "typ of ours and the customer's kid": lambda ada: own(ada, typ="at+jwt"),
    "critical header unknown": lambda ada: own(ada, crit=["bound"], bound="x"),
    "payload detached": lambda ada: own(ada, b64=False, crit=["b64"]),
    "exp missing": without_exp,
    "exp huge": exp(10**300),
    "exp not a number": exp(math.nan),
    "exp Infinity": exp(math.inf),
    "exp overflowing": raw_exp("1e400"),
    "exp over an hour ahead": lambda ada: own(ada, {"exp": soon(3600 + 60)}),
    "nbf in the future": lambda ada: own(ada, {"nbf": soon(300)}),
    "nbf Infinity": lambda ada: own(ada, {"nbf": math.inf}),
    "iat in the future": lambda ada: own(ada, {"iat": soon(300)}),
    "aud of somebody else": lambda ada: own(ada, {"aud": "urn:other"}),
    "aud an object": lambda ada: own(ada, {"aud": {tokens.AUDIENCE: 1}}),
    "aud null": lambda ada: own(ada, {"aud": None}),
    "kid missing": lambda ada: sign({"exp": soon()}, ada.secret),
    "kid unknown": kid("ek_live_" + "0" * 20),
    "kid a path": kid("../../../dev/null"),
    "kid SQL": kid("' OR 1=1 --"),
    "kid empty": kid(""),
    "kid with a line end": lambda ada: sign({"exp": soon()}, ada.secret, kid=f"{ada.key.public_id}\n"),
    "kid with NUL": lambda ada: sign({"exp": soon()}, ada.secret, kid=f"{ada.key.public_id}\0"),
    "kid a list": lambda ada: sign({"exp": soon()}, ada.secret, kid=[ada.key.public_id]),
    "kid an object": kid({"id": 1}),
    "kid a number": kid(1),
    "kid null": kid(None),
    "kid half a surrogate pair": kid("\ud800"),
    "iss a list": lambda ada: sign({"exp": soon(), "iss": [ada.key.public_id]}, ada.secret),
    "iss a number": lambda ada: sign({"exp": soon(), "iss": 1}, ada.secret),
    "issued, aud wrong": lambda ada: issued(ada, {"aud": "urn:other"}),
    "issued, aud missing": lambda ada: issued(ada, {"aud": None}),
    "issued, iss wrong": lambda ada: issued(ada, {"iss": "https://other.example"}),
    "issued, iss missing": lambda ada: issued(ada, {"iss": None}),
    "issued, exp missing": lambda ada: issued(ada, {"exp": None}),
    "issued, client unknown": lambda ada: issued(ada, {"client_id": "ek_live_" + "0" * 20}),
    "issued, client a list": lambda ada: issued(ada, {"client_id": [ada.key.public_id]}),
    "issued, client missing": lambda ada: issued(ada, {"client_id": None}),
    "issued, scope missing": lambda ada: issued(ada, {"scope": None}),
    "issued, iat text": lambda ada: issued(ada, {"iat": str(soon(0))}),
    "issued, scope a list": lambda ada: issued(ada, {"scope": ["generations:read"]}),
    "issued, typ missing": lambda ada: issued(ada, typ="JWT"),
    "issued, kid not in the ring": lambda ada: issued(ada, kid="32000"),
    "issued, kid of many digits": lambda ada: issued(ada, kid="1" * 3000),
    "issued, kid a path": lambda ada: issued(ada, kid="../1"),
    "issued, kid in other digits": lambda ada: issued(ada, kid="\N{FULLWIDTH DIGIT ONE}"),
    "issued, kid missing": lambda ada: issued(ada, kid=None),
    "payload a list": lambda ada: sign("[]", ada.secret, kid=ada.key.public_id),
    "payload not JSON": lambda ada: sign("{", ada.secret, kid=ada.key.public_id),
    "payload not UTF-8": lambda ada: sign("{}", ada.secret).replace(".e30.", "._w."),
    "payload nested deeply": deep,
    "a header of 10 kB": lambda ada: own(ada, padding="x" * 10_000),
    "a token of 1 MB": lambda ada: "a" * 1_000_000,
    "one word": lambda ada: "token",
    "dots": lambda ada: "..",
    "two tokens": lambda ada: f"{own(ada)} {own(ada)}",
    "two tokens with a comma": lambda ada: f"{own(ada)}, Bearer {own(ada)}",
    "unicode": lambda ada: "\u00e9\u00e8." * 3,
    "text beyond Latin-1": lambda ada: "\u4ee4\u724c",
    "NUL": lambda ada: own(ada) + "\0",
    "a tab inside": lambda ada: own(ada).replace(".", ".\t", 1),
    "the secret itself": lambda ada: ada.secret,
    "the public id": lambda ada: ada.key.public_id,
}


def refused(response: HttpResponse, code: str) -> None:
    assert response.status_code == 401, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert body(response)["code"] == code
    challenge = response["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="easel"')
    assert challenge.isascii()
    assert challenge.count('"') % 2 == 0
    assert ('error="invalid_token"' in challenge) == (code != "token_missing")


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_invalid(make: Callable[[Customer], str], ada: Customer) -> None:
    refused(bearer(make(ada)), "token_invalid")


WRONG_TYPES: dict[str, list[object]] = {
    "exp": [None, "tomorrow", str(2**40), [soon()], {"at": 1}],  # never over, however long the suite takes
    "iat": [None, "today", str(soon(0)), [soon(0)], {"at": 1}],
    "nbf": [None, "today", str(soon(0)), [], {"at": 1}],
    "jti": [None, 7, 7.5, True, "", ["a"], {"a": 1}, "a" * tokens.LONGEST],
    "scope": [None, 7, True, ["generations:read"], {"generations:read": 1}],
}


@pytest.mark.parametrize(
    ("claim", "value"),
    [pytest.param(name, value, id=f"{name} {type(value).__name__} {number}")
     for name, values in WRONG_TYPES.items() for number, value in enumerate(values)],
)  # fmt: skip
def test_a_claim_of_the_wrong_type_is_invalid(claim: str, value: object, ada: Customer) -> None:
    refused(bearer(own(ada, {claim: value})), "token_invalid")


@pytest.mark.parametrize("make", [own, issued])
def test_the_tables_tokens_are_good_where_nothing_is_wrong(make: Callable[[Customer], str], ada: Customer) -> None:
    assert bearer(make(ada)).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token abc", "bearer-abc", "\0"])
def test_without_a_bearer_token_it_is_missing(header: str) -> None:
    refused(knock(header), "token_missing")


def test_a_token_in_the_query_string_is_not_looked_at(ada: Customer) -> None:
    token = own(ada)
    refused(knock(path=f"/?access_token={token}&token={token}&jwt={token}"), "token_missing")


@pytest.mark.parametrize("make", [own, issued])
@pytest.mark.parametrize("past", [soon(-31), soon(-3600), 0, -1, True])
def test_a_token_from_the_past_has_expired(make: Callable[..., str], past: int, ada: Customer) -> None:
    refused(bearer(make(ada, {"exp": past})), "token_expired")


def test_another_tenants_secret_does_not_open_the_door(ada: Customer, bob: Customer) -> None:
    refused(bearer(sign({"exp": soon()}, bob.secret, kid=ada.key.public_id)), "token_invalid")
    refused(bearer(sign({"exp": soon()}, bob.secret), key_hint=ada.key.public_id), "token_invalid")


@pytest.mark.parametrize("make", [own, issued])
def test_a_token_beside_the_name_of_another_key_is_refused(
    make: Callable[[Customer], str], ada: Customer, bob: Customer
) -> None:
    refused(bearer(make(ada), key_hint=bob.key.public_id), "token_invalid")


def set_key(customer: Customer, **fields: datetime) -> None:
    with platform_role():
        APIKey.objects.filter(id=customer.key.id).update(**fields)
    keys.forget_all()


@pytest.mark.parametrize("make", [own, issued])
def test_a_revoked_key_says_so(make: Callable[[Customer], str], ada: Customer) -> None:
    set_key(ada, revoked_at=datetime.now(UTC))
    refused(bearer(make(ada)), "key_revoked")


@pytest.mark.parametrize("make", [own, issued])
def test_an_expired_key_opens_nothing(make: Callable[[Customer], str], ada: Customer) -> None:
    set_key(ada, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    refused(bearer(make(ada)), "key_revoked")


def test_only_who_holds_the_secret_hears_that_a_key_was_revoked(ada: Customer, bob: Customer) -> None:
    set_key(ada, revoked_at=datetime.now(UTC))
    refused(bearer(sign({"exp": soon()}, bob.secret, kid=ada.key.public_id)), "token_invalid")


def test_an_unknown_key_reads_like_a_wrong_signature(ada: Customer, bob: Customer) -> None:
    unknown = bearer(sign({"exp": soon()}, bob.secret, kid="ek_live_" + "0" * 20))
    wrong = bearer(sign({"exp": soon()}, bob.secret, kid=ada.key.public_id))
    assert body(unknown)["detail"] == body(wrong)["detail"]


def test_a_token_of_another_platforms_ring_is_refused(ada: Customer) -> None:
    with override_settings(TOKEN_KEYS=OTHER_RING):
        foreign = ada.token()
        assert bearer(foreign).status_code == 200
    refused(bearer(foreign), "token_invalid")


def test_a_token_whose_ring_key_was_taken_away_is_refused(ada: Customer) -> None:
    token = ada.token()
    with override_settings(TOKEN_KEYS=["2:" + "B" * 43 + "="]):
        refused(bearer(token), "token_invalid")


def test_a_suspended_tenant_is_told_so(ada: Customer) -> None:
    with platform_role():
        type(ada.tenant).objects.filter(id=ada.id).update(frozen_at=datetime.now(UTC))
    keys.forget_all()
    response = bearer(own(ada))
    assert (response.status_code, body(response)["code"]) == (403, "tenant_suspended")


def test_a_scope_the_key_lacks_is_named(ada: Customer) -> None:
    response = bearer(own(ada, {"scope": "generations:read"}), method="post")
    assert (response.status_code, body(response)["code"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope", scope="generations:write"' in response["WWW-Authenticate"]


@pytest.mark.parametrize("method", ["delete", "put", "options", "trace"])
def test_a_method_for_which_no_scope_was_said_is_nobodys(method: str, ada: Customer) -> None:
    assert hasattr(Door, "delete")
    response = bearer(own(ada), method=method)
    assert (response.status_code, body(response)["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("make", [unsigned, lambda ada: own(ada, alg="RS256")], ids=["none", "RS256"])
def test_another_algorithm_is_told_which_one_is_right(make: Callable[[Customer], str], ada: Customer) -> None:
    assert "HS256" in body(bearer(make(ada)))["detail"]
