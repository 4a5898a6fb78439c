"""One unit of work sees one tenant, and leaves nothing behind."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import copy_context

import pytest
from django.db import DatabaseError, connections

from easel.database import atomic, platform_role, rows
from tenants.models import APIKey, Member, User
from tenants.scope import NoScope, ScopeMismatch, current_tenant, person_scope, tenant_scope
from tests.cast import Customer


def setting(name: str = "app.tenant") -> str:
    return str(rows("SELECT coalesce(current_setting(%s, true), '')", [name])[0][0])


def in_a_thread(act: Callable[[], object]) -> object:
    def then_hang_up() -> object:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(then_hang_up).result()


def key_ids() -> set[object]:
    return set(APIKey.objects.values_list("id", flat=True))


def test_a_tenants_rows_cannot_be_asked_for_outside_a_scope() -> None:
    with pytest.raises(NoScope):
        APIKey.objects.count()
    with pytest.raises(NoScope):
        Member.objects.count()


def test_a_scope_sees_its_own_tenant_and_no_other(ada: Customer, bob: Customer) -> None:
    with tenant_scope(ada.id):
        assert key_ids() == {ada.key.id}
        assert not APIKey.objects.filter(id=bob.key.id).exists()
    with tenant_scope(bob.id):
        assert key_ids() == {bob.key.id}


def test_the_same_scope_may_be_nested_and_the_outer_one_lives_on(ada: Customer) -> None:
    with tenant_scope(ada.id):
        with tenant_scope(ada.id):
            assert key_ids() == {ada.key.id}
        assert rows("SELECT id FROM tenants_apikey") == [(ada.key.id,)]
        assert current_tenant() == ada.id


def test_another_tenants_scope_cannot_be_nested(ada: Customer, bob: Customer) -> None:
    with tenant_scope(ada.id):
        with pytest.raises(ScopeMismatch), tenant_scope(bob.id):
            pass
        assert key_ids() == {ada.key.id}


def test_a_scope_inside_a_longer_transaction_takes_its_tenant_back(ada: Customer, bob: Customer) -> None:
    with atomic():
        with tenant_scope(ada.id):
            assert setting() == str(ada.id)
        assert setting() == ""
        assert rows("SELECT id FROM tenants_apikey") == []
        with tenant_scope(bob.id):
            assert key_ids() == {bob.key.id}


def test_after_a_scope_the_connection_names_no_tenant(ada: Customer) -> None:
    with tenant_scope(ada.id):
        pass
    assert setting() == ""
    assert current_tenant() is None


@pytest.mark.parametrize("surroundings", [nullcontext, atomic], ids=["alone", "inside a transaction"])
def test_an_exception_undoes_the_work_and_ends_the_scope(
    ada: Customer, surroundings: Callable[[], AbstractContextManager[None]]
) -> None:
    with surroundings():
        with suppress(LookupError), tenant_scope(ada.id):
            APIKey.objects.update(name="changed")
            raise LookupError
        assert setting() == ""
    assert current_tenant() is None
    with tenant_scope(ada.id):
        assert list(APIKey.objects.values_list("name", flat=True)) == ["test"]


def test_a_failed_statement_leaves_a_scope_that_can_be_opened_again(ada: Customer) -> None:
    with pytest.raises(DatabaseError), tenant_scope(ada.id):
        rows("SELECT 1 / 0")
    with tenant_scope(ada.id):
        assert key_ids() == {ada.key.id}


def test_threads_do_not_share_a_scope(ada: Customer) -> None:
    with tenant_scope(ada.id):
        assert in_a_thread(current_tenant) is None
        with pytest.raises(NoScope):
            in_a_thread(APIKey.objects.count)


def test_a_thread_that_inherits_the_context_opens_the_scope_on_its_own_connection(ada: Customer) -> None:
    def count() -> object:
        with tenant_scope(ada.id):
            return rows("SELECT id FROM tenants_apikey")

    with tenant_scope(ada.id):
        context = copy_context()
        assert in_a_thread(lambda: context.run(count)) == [(ada.key.id,)]


def test_the_platform_role_sees_every_tenant_until_a_scope_narrows_it(ada: Customer, bob: Customer) -> None:
    with platform_role():
        assert key_ids() >= {ada.key.id, bob.key.id}
        with tenant_scope(ada.id):
            assert key_ids() == {ada.key.id}
    with pytest.raises(NoScope):
        APIKey.objects.count()


@pytest.fixture
def people(ada: Customer, bob: Customer) -> tuple[User, User]:
    """Carol, a member of both tenants, and Dave, of Bob's alone."""
    with platform_role():
        carol = User.objects.create_user(f"carol-{ada.id}@example.com")
        dave = User.objects.create_user(f"dave-{ada.id}@example.com")
        Member.objects.create(tenant=ada.tenant, user=carol, role=Member.Role.OWNER)
        Member.objects.create(tenant=bob.tenant, user=carol, role=Member.Role.VIEWER)
        Member.objects.create(tenant=bob.tenant, user=dave, role=Member.Role.OWNER)
    return carol, dave


def test_a_person_sees_their_own_memberships_in_every_tenant(
    ada: Customer, bob: Customer, people: tuple[User, User]
) -> None:
    carol, dave = people
    with person_scope(carol.id):
        assert set(Member.objects.values_list("tenant_id", flat=True)) == {ada.id, bob.id}
        assert {user for (user,) in rows("SELECT user_id FROM tenants_member")} == {carol.id}
        with pytest.raises(NoScope):
            APIKey.objects.count()
    with person_scope(dave.id):
        assert list(Member.objects.values_list("tenant_id", flat=True)) == [bob.id]


def test_a_person_cannot_change_a_membership_by_seeing_it(people: tuple[User, User]) -> None:
    carol, _ = people
    with person_scope(carol.id):
        assert Member.objects.update(role=Member.Role.OWNER) == 0
    with platform_role():
        assert set(Member.objects.filter(user=carol).values_list("role", flat=True)) == {"owner", "viewer"}


def test_a_tenants_scope_shows_that_tenants_members_to_a_person(bob: Customer, people: tuple[User, User]) -> None:
    carol, dave = people
    with person_scope(carol.id), tenant_scope(bob.id):
        assert set(Member.objects.values_list("user_id", flat=True)) == {carol.id, dave.id}


def test_a_persons_scope_inside_anothers_gives_it_back(people: tuple[User, User]) -> None:
    carol, dave = people
    with person_scope(carol.id):
        with person_scope(dave.id):
            assert {user for (user,) in rows("SELECT user_id FROM tenants_member")} == {dave.id}
        assert {user for (user,) in rows("SELECT user_id FROM tenants_member")} == {carol.id}
    assert setting("app.person") == ""
