"""A self-signed token that carries a jti opens the door once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from easel import clock
from easel.database import changed, platform_role
from tenants.models import SpentToken
from tests.cast import Customer
from tests.tenants.door import bearer, body, sign, soon


def token(customer: Customer, **claims: object) -> str:
    return sign({"exp": soon()} | claims, customer.secret, kid=customer.key.public_id)


def test_the_second_use_is_a_replay(ada: Customer) -> None:
    once = token(ada, jti="order-1")
    assert bearer(once).status_code == 200
    again = bearer(once)
    assert (again.status_code, body(again)["code"]) == (401, "token_replayed")
    assert "invalid_token" in again["WWW-Authenticate"]


def test_the_same_jti_signed_anew_is_a_replay(ada: Customer) -> None:
    assert bearer(token(ada, jti="order-2")).status_code == 200
    assert body(bearer(token(ada, jti="order-2", exp=soon(900))))["code"] == "token_replayed"


def test_a_token_without_a_jti_may_be_used_until_it_expires(ada: Customer) -> None:
    reusable = token(ada)
    assert [bearer(reusable).status_code for _ in range(3)] == [200, 200, 200]


def test_two_tenants_may_use_the_same_jti(ada: Customer, bob: Customer) -> None:
    assert [bearer(token(each, jti="order-3")).status_code for each in (ada, bob)] == [200, 200]


def test_a_token_that_is_refused_for_another_reason_is_not_used_up(ada: Customer) -> None:
    assert bearer(token(ada, jti="order-4"), key_hint="ek_live_" + "0" * 20).status_code == 401
    assert bearer(token(ada, jti="order-4")).status_code == 200


@pytest.mark.parametrize("jti", [7, None, "", ["a"], {"a": 1}])
def test_a_jti_is_a_text(ada: Customer, jti: object) -> None:
    answered = bearer(token(ada, jti=jti))
    assert (answered.status_code, body(answered)["code"]) == (401, "token_invalid")
    assert "jti" in body(answered)["detail"]


def test_a_jti_may_be_long(ada: Customer) -> None:
    long = token(ada, jti="a" * 2000)
    assert [bearer(long).status_code for _ in range(2)] == [200, 401]


def test_of_many_at_once_one_gets_in(ada: Customer) -> None:
    once = token(ada, jti="rush")

    def use(_: int) -> int:
        try:
            return bearer(once).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(use, range(12))) == [200] + [401] * 11


def test_what_would_have_expired_is_forgotten(ada: Customer) -> None:
    bearer(token(ada, jti="old"))
    bearer(token(ada, jti="young"))
    with platform_role():
        oldest = SpentToken.objects.filter(tenant=ada.tenant).order_by("id").first()
        assert oldest is not None
        changed("UPDATE tenants_spenttoken SET expires_at = now() - interval '1 second' WHERE id = %s", [oldest.id])
    clock.perform("forget_spent_tokens")
    with platform_role():
        assert SpentToken.objects.filter(tenant=ada.tenant).count() == 1
