"""A tenant is made whole: its key, its owner and its opening credits, or nothing at all."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import ProgrammingError

from billing.models import Entry, Wallet
from easel.crypto import fingerprint
from easel.database import platform_role
from tenants import keys, lifecycle
from tenants.lifecycle import create_tenant, on_created
from tenants.models import Member, Tenant, User
from tenants.scope import tenant_scope
from tests.cast import Customer


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[Tenant], None]]:
    """What is registered, for this test alone."""
    acts = list(lifecycle._when_created)
    monkeypatch.setattr(lifecycle, "_when_created", acts)
    return acts


def test_a_new_tenant_has_its_opening_credits(ada: Customer) -> None:
    with tenant_scope(ada.id):
        entry = Entry.objects.get(operation_id="grant:opening")
        assert (entry.kind, entry.available_delta) == ("grant", settings.OPENING_CREDITS)
        assert Wallet.objects.get().available >= settings.OPENING_CREDITS


def test_every_tenant_has_a_data_key_of_its_own(ada: Customer, bob: Customer) -> None:
    marks = {fingerprint(keys.tenant_data_key(customer.tenant), b"x") for customer in (ada, bob)}
    assert len(marks) == 2


def test_the_owner_becomes_its_first_member() -> None:
    with platform_role():
        owner = User.objects.create_user("owner-of-one@example.com")
        tenant = create_tenant(name="One", owner=owner)
        member = Member.objects.get(tenant=tenant)
    assert (member.user_id, member.role) == (owner.id, Member.Role.OWNER)


@pytest.mark.parametrize(
    ("name", "start"), [("Ada & Co.", "ada-co-"), ("画架", "tenant-"), ("-", "tenant-"), ("x" * 150, "x" * 50 + "-")]
)
def test_any_name_makes_a_slug(name: str, start: str) -> None:
    with platform_role():
        tenant = create_tenant(name=name)
    assert tenant.slug == f"{start}{tenant.id.hex[-8:]}"
    tenant.full_clean()


def test_upper_apps_act_for_a_new_tenant_and_register_once(registered: list[Callable[[Tenant], None]]) -> None:
    seen: list[Tenant] = []
    act = seen.append
    on_created(act)
    on_created(act)
    with platform_role():
        tenant = create_tenant(name="Seen")
    assert seen == [tenant]


def test_when_an_upper_app_fails_there_is_no_tenant(registered: list[Callable[[Tenant], None]]) -> None:
    @on_created
    def fail(tenant: Tenant) -> None:
        raise LookupError

    with platform_role():
        with pytest.raises(LookupError):
            create_tenant(name="Never", slug="never-was")
        assert not Tenant.objects.filter(slug="never-was").exists()


def test_the_customer_web_cannot_make_tenants() -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        create_tenant(name="By the web")
