"""What happens at each door while nobody can count: the API stays open, tokens are closed, and both are counted."""

import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings

from easel import ratelimit
from easel.embedded.stack import Stack
from easel.identifiers import new_id
from easel.problems import Problem
from easel.ratelimit import CHECKS
from tenants.clients import ASSERTION_TYPE
from tests.cast import Customer
from tests.tenants.door import sign, soon


@pytest.fixture
def cache_away(stack: Stack) -> Iterator[None]:
    stack.halt("cache")
    ratelimit._Absence.until = 0.0
    try:
        yield
    finally:
        stack.start("cache")
        ratelimit._Absence.until = 0.0


def count(group: str, outcome: str) -> float:
    return float(CHECKS.labels(group, outcome)._value.get())


def token(customer: Customer, *, address: str = "127.0.0.1", **fields: str) -> HttpResponse:
    form = {"grant_type": "client_credentials", "client_id": customer.key.public_id, "client_secret": customer.secret}
    answer: HttpResponse = Client(REMOTE_ADDR=address).post(
        "/oauth/token",
        "&".join(f"{name}={value}" for name, value in (form | fields).items()),
        content_type="application/x-www-form-urlencoded",
    )
    return answer


def test_without_the_cache_the_api_answers_uncounted(ada: Customer, cache_away: None) -> None:
    before = count("api", "open")
    started = time.monotonic()
    answers = [ada.client().get("/v1/account") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0], "what is not counted is not told"
    assert count("api", "open") == before + 5
    assert time.monotonic() - started < 3, "requests do not queue up for the cache's time-out"


def test_without_the_cache_no_token_is_given(ada: Customer, cache_away: None) -> None:
    before = count("token", "closed")
    answer = token(ada)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.json()["error"] == "temporarily_unavailable", "as an OAuth client reads it"
    assert int(answer["Retry-After"]) > 0
    assert count("token", "closed") == before + 1


def test_when_the_cache_is_back_tokens_are_given_again(ada: Customer) -> None:
    assert token(ada).status_code == 200


def test_tokens_are_limited_per_key_and_the_last_one_is_given(ada: Customer) -> None:
    before = count("token-client", "refused")
    with override_settings(TOKENS_PER_MINUTE={"address": 10_000, "client": 3}):
        answers = [token(ada).status_code for _ in range(4)]
        while answers[:4] != [200, 200, 200, 429] and len(answers) < 12:  # the minute turned on the way
            answers = [*answers[1:], token(ada).status_code]
        refused = token(ada)
    assert answers[-4:] == [200, 200, 200, 429]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert refused["RateLimit-Policy"] == '"token-client";q=3;w=60'
    assert count("token-client", "refused") >= before + 2


def test_tokens_are_limited_per_address_whatever_key_is_tried(ada: Customer) -> None:
    with override_settings(TOKENS_PER_MINUTE={"address": 0, "client": 100}):
        assert token(ada, client_id="ek_live_guess").status_code == 429


@pytest.mark.parametrize("proof", [{"client_secret": "es_wrong"}, {"client_assertion": "forged"}])
def test_whoever_only_knows_a_keys_id_does_not_keep_its_owner_out(proof: dict[str, str], ada: Customer) -> None:
    if "client_assertion" in proof:
        name = ada.key.public_id
        forged = sign({"iss": name, "sub": name, "aud": "http://testserver", "exp": soon()}, "es_wrong")
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": forged}
    else:
        form = {"grant_type": "client_credentials", "client_id": ada.key.public_id, **proof}
    with override_settings(TOKENS_PER_MINUTE={"address": 10_000, "client": 3}):
        attacker = Client(REMOTE_ADDR="203.0.113.66")
        codes = [
            attacker.post("/oauth/token", urlencode(form), "application/x-www-form-urlencoded").status_code
            for _ in range(8)
        ]
        answer = token(ada, address="203.0.113.77")
    assert codes[0] == 401
    assert 429 in codes, "guesses are limited, too"
    assert answer.status_code == 200


SIGN_IN = [("easel.urls", "/console/sign-in"), ("easel.staff_urls", "/admin/login/")]


def sign_in(urls: str, path: str) -> HttpResponse:
    with override_settings(ROOT_URLCONF=urls):
        email = f"nobody-{new_id().hex}@example.com"
        form = {"username": email, "login": email, "password": "wrong"}
        answer: HttpResponse = Client().post(path, form, headers={"accept": "text/html"})
    return answer


@pytest.mark.parametrize(("urls", "path"), SIGN_IN)
def test_without_the_cache_nobody_signs_in(urls: str, path: str, cache_away: None) -> None:
    before = count("sign-in", "closed")
    assert sign_in(urls, path).status_code == 503
    assert count("sign-in", "closed") == before + 1


@pytest.mark.parametrize(("urls", "path"), SIGN_IN)
@pytest.mark.parametrize("limits", [{"address": 0, "account": 100}, {"address": 10_000, "account": 0}])
def test_signing_in_is_limited_by_address_and_by_account(urls: str, path: str, limits: dict[str, int]) -> None:
    assert sign_in(urls, path).status_code == 200, "a wrong password is told on the form"
    with override_settings(SIGN_INS_PER_MINUTE=limits):
        answer = sign_in(urls, path)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


NAMED_BY = [
    ("easel.urls", "/console/sign-in", "login"),
    ("easel.urls", "/console/sign-up", "email"),
    ("easel.urls", "/console/account/password/reset", "email"),
    ("easel.staff_urls", "/admin/login/", "username"),
]


@pytest.mark.parametrize(("urls", "path", "field"), NAMED_BY)
def test_an_account_is_counted_by_what_its_form_reads_and_nothing_else(urls: str, path: str, field: str) -> None:
    email = f"nobody-{new_id().hex}@example.com"
    codes = []
    with override_settings(ROOT_URLCONF=urls, SIGN_INS_PER_MINUTE={"address": 10_000, "account": 1}):
        for number in range(4):
            decoys = {name: f"{new_id().hex}@example.com" for name in ("username", "login", "email")}
            browser = Client(headers={"accept": "text/html"}, REMOTE_ADDR=f"203.0.113.{number}")
            codes.append(browser.post(path, {**decoys, field: email, "password": "wrong"}).status_code)
    assert codes[0] != 429
    assert 429 in codes


@pytest.mark.parametrize("spelling", ["Ada@Example.com", " ada@example.com ", "\uff41\uff44\uff41@example.com"])
def test_every_spelling_of_a_name_is_one_account(spelling: str) -> None:
    asked = RequestFactory().post("/admin/login/", {"username": spelling})
    assert ratelimit.named_by("username")(asked) == "ada@example.com"


def test_a_customer_behind_ipv6_is_its_network() -> None:
    assert ratelimit.network("2001:db8::1:2") == ratelimit.network("2001:db8::ffff") == "2001:db8::"
    assert ratelimit.network("192.0.2.7") == "192.0.2.7"
    assert ratelimit.network("") == ""


def test_a_count_goes_up_to_its_limit_and_says_what_is_left() -> None:
    value = new_id().hex
    usages = [ratelimit.use("test", value, limit=2, seconds=3600) for _ in range(3)]
    assert [usage.remaining for usage in usages] == [1, 0, 0]
    assert [usage.exceeded for usage in usages] == [False, False, True]
    assert all(1 <= usage.reset <= 3600 for usage in usages)


def test_a_guard_without_a_value_counts_nothing() -> None:
    ratelimit.guard("test", {"client": ""}, limits={"client": 0})
    with pytest.raises(Problem, match="per minute are allowed"):
        ratelimit.guard("test", {"client": "somebody"}, limits={"client": 0})
