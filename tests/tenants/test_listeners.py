"""Whoever listens is asked about every second or so: what would be refused a new call or page hears no more."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client

from easel.database import changed, platform_role
from tenants import authentication, key_changes, keys, listeners, plain_keys, revocation
from tenants.audit import Actor
from tenants.models import APIKey, Member, Tenant, User
from tests.cast import Customer
from tests.counting import queries
from tests.tenants.door import sign, soon
from tests.tenants.people import let_in, person

ME = Actor(kind="key", name="test")


def by_token(token: str) -> str:
    return authentication.admit(token, key_hint="", address="192.0.2.7").holder


def every_way(customer: Customer) -> dict[str, str]:
    """Holders by all that proves a key, each a second old."""
    holders = {
        "issued": by_token(customer.token()),
        "self-signed": by_token(sign({"exp": soon(), "iss": customer.key.public_id}, customer.secret)),
        "plain": plain_keys.admit(f"{customer.key.public_id}.{customer.secret}", address="192.0.2.7").holder,
    }
    time.sleep(1.1)  # a token's time is in whole seconds
    return holders


def rotate(customer: Customer, overlap: timedelta) -> str:
    secret = key_changes.rotate(customer.key, overlap=overlap, actor=ME)
    assert secret
    return secret


def test_a_key_that_opens_nothing_holds_nothing(ada: Customer, bob: Customer) -> None:
    mine, other = set(every_way(ada).values()), by_token(bob.token())
    assert keys.refused({*mine, other, "person:x"}) == set()
    with platform_role():
        APIKey.objects.filter(id=ada.key.id).update(revoked_at=datetime.now(UTC))
    assert keys.refused({*mine, other, "person:x"}) == mine


def test_a_rotation_without_overlap_ends_what_was_let_in_before(ada: Customer) -> None:
    before = set(every_way(ada).values())
    rotate(ada, timedelta(hours=1))
    assert keys.refused(before) == set()
    secret = rotate(ada, timedelta(0))
    time.sleep(1.1)
    after = {by_token(ada.token()), by_token(sign({"exp": soon(), "iss": ada.key.public_id}, secret))}
    assert keys.refused(before | after) == before


def test_what_a_process_has_not_heard_of_yet_is_let_in_for_a_moment_and_no_longer(ada: Customer) -> None:
    """A key's record is remembered for seconds: a token by the secret before is still taken, its stream is not kept."""
    record = keys.find(ada.key.public_id)
    assert record is not None
    rotate(ada, timedelta(0))
    keys._remembered[ada.key.public_id] = (time.monotonic() + 3, record)
    late = by_token(sign({"exp": soon(), "iss": ada.key.public_id}, ada.secret))
    assert keys.refused({late}) == {late}


@pytest.mark.parametrize("kind", ["issued", "self-signed"])
def test_a_token_that_was_given_back_holds_nothing(ada: Customer, kind: str) -> None:
    token, other = (sign({"exp": soon(60 + n), "iss": ada.key.public_id}, ada.secret) for n in range(2))
    if kind == "issued":
        token, other = ada.token(), ada.token()
    holders = by_token(token), by_token(other)
    record = keys.find(ada.key.public_id)
    assert record is not None
    assert revocation.give_back(token, record)
    assert keys.refused(set(holders)) == {holders[0]}


def test_keys_are_asked_about_in_one_statement_and_people_in_one_for_each_workspace(
    ada: Customer, bob: Customer
) -> None:
    holders = {by_token(each.token()) for each in (ada, bob) for _ in range(5)}
    people = {signed_in(each)[2] for each in (ada, bob) for _ in range(3)}
    with queries() as statements:
        assert keys.refused(holders | people) == set()
    assert len(statements) == 1
    with queries() as statements:
        assert listeners.refused(holders | people) == set()
    assert len([each for each in statements if "set_config" not in each]) == 2
    with queries() as statements:
        assert (keys.refused(people), listeners.refused(holders)) == (set(), set())
    assert statements == []


def signed_in(customer: Customer) -> tuple[User, Client, str]:
    user = person(customer.tenant, "viewer")
    browser = let_in(user)
    return user, browser, listeners.holder(user, customer.id, browser.session)


def test_only_members_listen(ada: Customer, bob: Customer) -> None:
    user, browser, member = signed_in(ada)
    stranger = listeners.holder(user, bob.id, browser.session)
    nobody = listeners.holder(User(id=uuid4(), password=user.password), ada.id, browser.session)
    assert listeners.refused({member, stranger, nobody}) == {stranger, nobody}


def leave(user: User, _: Client, __: Customer) -> None:
    Member.objects.filter(user=user).delete()


def close_account(user: User, _: Client, __: Customer) -> None:
    User.objects.filter(id=user.id).update(is_active=False)


def change_password(user: User, _: Client, __: Customer) -> None:
    user.set_password("another horse, another battery")
    user.save(update_fields=["password"])


def end_session(_: User, browser: Client, __: Customer) -> None:
    changed("DELETE FROM django_session WHERE session_key = %s", [browser.session.session_key])


def expire_session(_: User, browser: Client, __: Customer) -> None:
    changed("UPDATE django_session SET expire_date = now() WHERE session_key = %s", [browser.session.session_key])


def freeze(_: User, __: Client, customer: Customer) -> None:
    Tenant.objects.filter(id=customer.id).update(frozen_at=datetime.now(UTC))


def demand_second_factor(_: User, __: Client, customer: Customer) -> None:
    Tenant.objects.filter(id=customer.id).update(requires_two_factor=True)


@pytest.mark.parametrize(
    "deed", [leave, close_account, change_password, end_session, expire_session, freeze, demand_second_factor]
)
def test_what_ends_a_persons_way_to_a_page_ends_their_stream(
    ada: Customer, bob: Customer, deed: Callable[[User, Client, Customer], None]
) -> None:
    user, browser, member = signed_in(ada)
    *_, other = signed_in(bob)
    assert listeners.refused({member, other}) == set()
    if deed in {end_session, expire_session}:  # each role sees the sessions that it made
        deed(user, browser, ada)
    else:
        with platform_role():
            deed(user, browser, ada)
    assert listeners.refused({member, other}) == {member}


def test_with_a_second_factor_one_listens_where_it_is_demanded(ada: Customer) -> None:
    from allauth.mfa.models import Authenticator

    user, browser, member = signed_in(ada)
    with platform_role():
        demand_second_factor(user, browser, ada)
        Authenticator.objects.create(user=user, type=Authenticator.Type.RECOVERY_CODES, data={})
    assert listeners.refused({member}) == {member}
    with platform_role():
        Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    assert listeners.refused({member}) == set()
