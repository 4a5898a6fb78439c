"""POST /oauth/revoke (RFC 7009): a token that its holder gives back opens nothing, in any process."""

from urllib.parse import urlencode

import pytest
from django.http import HttpResponse

from easel.database import platform_role, rows
from tenants import keys, replay, revocation
from tests.cast import Customer
from tests.tenants.door import bearer, body, sign, soon
from tests.tenants.test_oauth import FORM, GRANT, basic, form_of, granted, refused, stranger
from tests.tenants.test_oauth import ask as ask_for_token


def revoke(form: dict[str, str], *, authorization: str = "") -> HttpResponse:
    headers = {"Authorization": authorization} if authorization else {}
    answer: HttpResponse = stranger().post("/oauth/revoke", data=urlencode(form), content_type=FORM, headers=headers)
    return answer


def give_back(customer: Customer, token: str, **more: str) -> HttpResponse:
    form = {name: value for name, value in form_of(customer, token=token, **more).items() if name != "grant_type"}
    return revoke(form)


def own(customer: Customer) -> str:
    return sign({"exp": soon()}, customer.secret, kid=customer.key.public_id)


@pytest.mark.parametrize("kind", ["issued", "self-signed"])
def test_a_token_given_back_opens_nothing(kind: str, ada: Customer) -> None:
    token, other = (ada.token(), ada.token()) if kind == "issued" else (own(ada), ada.token())
    assert bearer(token).status_code == 200
    answer = give_back(ada, token, token_type_hint="access_token")
    assert (answer.status_code, answer.content, answer["Cache-Control"]) == (200, b"", "no-store")
    keys.forget_all()  # as in another process, once it has forgotten
    refusal = bearer(token)
    assert (refusal.status_code, body(refusal)["code"]) == (401, "token_invalid")
    assert bearer(other).status_code == 200
    assert give_back(ada, token).status_code == 200, "again is no error"


def test_another_spelling_of_the_signature_is_the_same_token(ada: Customer) -> None:
    token = ada.token()
    give_back(ada, token)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters[letters.index(token[-1]) ^ 1]  # a bit that the decoder throws away
    assert bearer(token[:-1] + last).status_code == 401


def test_the_other_process_knows_without_a_query_of_its_own(ada: Customer) -> None:
    token = ada.token()
    bearer(token)
    give_back(ada, token)
    record = keys.find(ada.key.public_id)
    assert record is not None
    assert len(record.revoked_tokens) == 1


def test_another_keys_token_stays_as_it_is(ada: Customer, bob: Customer) -> None:
    token = bob.token()
    assert give_back(ada, token).status_code == 200
    keys.forget_all()
    assert bearer(token).status_code == 200


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "\0", "x" * 10_000])
def test_what_is_no_token_is_no_error(token: str, ada: Customer) -> None:
    assert give_back(ada, token).status_code == 200


def test_the_client_has_to_say_who_it_is(ada: Customer, bob: Customer) -> None:
    token = ada.token()
    refused(revoke({"token": token}), "invalid_client")
    refused(revoke({"token": token}, authorization=basic(ada.key.public_id, bob.secret)), "invalid_client")
    refused(revoke({}, authorization=basic(ada.key.public_id, ada.secret)), "invalid_request")
    assert bearer(token).status_code == 200
    assert revoke({"token": token}, authorization=basic(ada.key.public_id, ada.secret)).status_code == 200
    keys.forget_all()
    assert bearer(token).status_code == 401


def test_so_many_at_once_void_all_that_were_issued(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "MOST_AT_ONCE", 1)
    kept, first, second = ada.token(), own(ada), ada.token()
    give_back(ada, first)
    assert bearer(kept).status_code == 200
    give_back(ada, second)
    keys.forget_all()
    assert bearer(kept).status_code == 401
    answered = granted(ask_for_token({**GRANT, "client_id": ada.key.public_id, "client_secret": ada.secret}))
    assert answered["access_token"]


def test_what_has_expired_anyway_is_forgotten(ada: Customer) -> None:
    give_back(ada, ada.token())
    with platform_role():
        rows("UPDATE tenants_revokedtoken SET expires_at = now() - interval '1 second' WHERE tenant_id = %s", [ada.id])
        assert replay.forget_spent_tokens() >= 1
        assert rows("SELECT 1 FROM tenants_revokedtoken WHERE tenant_id = %s", [ada.id]) == []
