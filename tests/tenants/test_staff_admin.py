"""What staff do by hand in the admin is on record, and staff without every power give themselves none."""

from collections.abc import Iterator

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.test import Client

from tenants import audit, membership
from tenants.models import APIKey, AuditRecord, Invitation, Member, User
from tests.cast import Customer
from tests.staff import PASSWORD, at_the_staff_port, let_in, staff_person
from tests.tenants.people import person


@pytest.fixture(autouse=True)
def port() -> Iterator[None]:
    with at_the_staff_port():
        yield


@pytest.fixture
def root() -> Client:
    return let_in(staff_person())


@pytest.fixture
def clerk() -> User:
    """Staff that may edit people, and is no superuser."""
    user = staff_person(superuser=False)
    user.user_permissions.add(*Permission.objects.filter(codename__in=("change_user", "view_user")))
    return user


def actions(tenant: object) -> list[str]:
    return list(AuditRecord.objects.filter(tenant=tenant).order_by("sequence").values_list("action", flat=True))


def test_what_staff_do_to_a_member_is_in_the_tenants_own_log(root: Client, ada: Customer) -> None:
    member = Member.objects.get(tenant=ada.tenant, user=person(ada.tenant, "developer"))
    root.post(f"/admin/tenants/member/{member.pk}/change/", {"role": "viewer"})
    root.post(f"/admin/tenants/member/{member.pk}/delete/", {"post": "yes"})
    assert actions(ada.tenant) == ["staff.member_changed", "staff.member_removed"]
    assert root.get("/admin/tenants/member/add/").status_code == 403
    record = AuditRecord.objects.filter(tenant=ada.tenant).latest("sequence")
    assert (record.actor_kind, record.actor.startswith("staff-"), bool(record.address)) == ("staff", True, True)


@pytest.mark.parametrize("way", ["change", "delete"])
def test_whoever_staff_remove_or_lower_leaves_no_invitation_open(way: str, root: Client, ada: Customer) -> None:
    admin = person(ada.tenant, "admin")
    someone = audit.Actor(kind="person", name=admin.email)
    membership.invite(
        ada.id, email=f"back-{ada.id.hex}@example.com", role="admin", by=admin, by_role="admin", actor=someone
    )
    member = Member.objects.get(tenant=ada.tenant, user=admin)
    root.post(f"/admin/tenants/member/{member.pk}/{way}/", {"role": "viewer", "post": "yes"})
    assert Invitation.objects.get(tenant=ada.tenant).revoked_at is not None
    assert "member.invitation_revoked" in actions(ada.tenant)


def test_not_even_staff_leave_a_workspace_without_an_owner(root: Client, ada: Customer) -> None:
    owner = person(ada.tenant, "owner")
    member = Member.objects.get(tenant=ada.tenant, user=owner)
    page = root.post(f"/admin/tenants/member/{member.pk}/change/", {"role": "viewer"})
    assert "last owner" in page.content.decode()
    for path in (f"/admin/tenants/member/{member.pk}/delete/", f"/admin/tenants/user/{owner.pk}/delete/"):
        assert root.post(path, {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "post": "yes"}
    root.post("/admin/tenants/member/", {**chosen, "_selected_action": [str(member.pk)]})
    root.post("/admin/tenants/user/", {**chosen, "_selected_action": [str(owner.pk)]})
    member.refresh_from_db()
    assert member.role == "owner"
    person(ada.tenant, "owner")
    root.post(f"/admin/tenants/member/{member.pk}/change/", {"role": "viewer"})
    member.refresh_from_db()
    assert member.role == "viewer"


def test_staff_revoke_a_key_and_change_nothing_else_of_it(root: Client, ada: Customer) -> None:
    page = f"/admin/tenants/apikey/{ada.key.pk}/change/"
    root.post(page, {"revoked_at_0": "", "revoked_at_1": "", "scopes": "audit:read", "mode": "test"})
    assert APIKey.objects.get(pk=ada.key.pk).mode == "live"
    chosen = {"_selected_action": [str(ada.key.pk)]}
    root.post("/admin/tenants/apikey/", {"action": "delete_selected", "post": "yes", **chosen})
    assert root.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403
    looker = staff_person(superuser=False)
    looker.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    let_in(looker).post("/admin/tenants/apikey/", {"action": "revoke", **chosen})
    assert APIKey.objects.get(pk=ada.key.pk).revoked_at is None
    root.post("/admin/tenants/apikey/", {"action": "revoke", **chosen})
    assert APIKey.objects.get(pk=ada.key.pk).revoked_at is not None
    assert "key.revoked" in actions(ada.tenant)


def test_a_changed_password_is_on_record_without_the_password(root: Client) -> None:
    user = person()
    fields = {"usable_password": "true", "password1": "a new long password", "password2": "a new long password"}
    root.post(f"/admin/tenants/user/{user.pk}/password/", fields)
    assert User.objects.get(pk=user.pk).check_password("a new long password")
    record = AuditRecord.objects.filter(tenant=None, object_id=str(user.pk)).latest("sequence")
    assert record.action == "staff.user_changed"
    assert "a new long password" not in str(record.details)


def test_who_may_edit_people_makes_nobody_staff_and_takes_over_no_superuser(clerk: User) -> None:
    browser, boss, customer = let_in(clerk), staff_person(), person()
    for target in (clerk, boss, customer):
        form = {"email": target.email, "name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
        browser.post(f"/admin/tenants/user/{target.pk}/change/", form)
    assert not User.objects.get(pk=clerk.pk).is_superuser
    assert not User.objects.get(pk=customer.pk).is_staff
    fields = {"usable_password": "true", "password1": "a new long password", "password2": "a new long password"}
    assert browser.post(f"/admin/tenants/user/{boss.pk}/password/", fields).status_code == 403
    assert User.objects.get(pk=boss.pk).check_password(PASSWORD)
    browser.post("/admin/tenants/user/", {"action": "forget_second_factors", "_selected_action": [str(boss.pk)]})
    assert let_in(boss).get("/admin/").status_code == 200


def test_a_superuser_forgets_somebodys_second_factors(root: Client) -> None:
    colleague = staff_person()
    browser = let_in(colleague)
    root.post("/admin/tenants/user/", {"action": "forget_second_factors", "_selected_action": [str(colleague.pk)]})
    assert browser.get("/admin/")["Location"].startswith("/second-factor")


@pytest.fixture
def registrar() -> User:
    """Staff that may do anything with roles and addresses, and is no superuser."""
    user = staff_person(superuser=False)
    user.user_permissions.add(*Permission.objects.filter(content_type__model__in=("group", "emailaddress")))
    return user


def test_roles_are_a_superusers_to_change_and_others_to_look_at(registrar: User, root: Client) -> None:
    browser = let_in(registrar)
    role = Group.objects.create(name=f"helpers-{registrar.pk.hex}")
    registrar.groups.add(role)
    page, everything = f"/admin/auth/group/{role.pk}/", [str(each.pk) for each in Permission.objects.all()]
    chosen = {"action": "delete_selected", "post": "yes", "_selected_action": [str(role.pk)]}
    fields = {"name": f"renamed-{registrar.pk.hex}", "permissions": everything}
    assert browser.post(f"{page}change/", fields).status_code == 403
    assert browser.post("/admin/auth/group/add/", {**fields, "name": "x"}).status_code == 403
    assert browser.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    browser.post("/admin/auth/group/", chosen)
    role.refresh_from_db()
    assert (role.name.startswith("helpers"), role.permissions.count()) == (True, 0)
    assert browser.get(f"{page}change/").status_code == 200
    root.post(f"{page}change/", {**fields, "permissions": everything[:2]})
    role.refresh_from_db()
    assert (role.name, role.permissions.count()) == (fields["name"], 2)


def test_who_may_edit_addresses_takes_over_nobody_of_the_staff(registrar: User) -> None:
    browser, boss, colleague, customer = let_in(registrar), staff_person(), staff_person(superuser=False), person()
    for target in (boss, colleague, registrar):
        address = EmailAddress.objects.create(user=target, email=target.email, primary=True, verified=False)
        page, before = f"/admin/account/emailaddress/{address.pk}/", target.email
        change = {"email": f"taken-{address.pk}@example.com", "primary": "on", "verified": "on"}
        assert browser.post(f"{page}change/", change).status_code == 403
        assert browser.post(f"{page}delete/", {"post": "yes"}).status_code == 403
        for action in ("make_verified", "delete_selected"):
            chosen = {"action": action, "post": "yes", "_selected_action": [str(address.pk)]}
            browser.post("/admin/account/emailaddress/", chosen)
        address.refresh_from_db()
        assert (address.email, address.verified) == (before, False)
    fields = {"user": str(boss.pk), "email": "second@example.com", "verified": "on"}
    assert browser.post("/admin/account/emailaddress/add/", fields).status_code == 403
    theirs = EmailAddress.objects.get(user=customer)
    EmailAddress.objects.filter(pk=theirs.pk).update(verified=False)
    browser.post("/admin/account/emailaddress/", {"action": "make_verified", "_selected_action": [str(theirs.pk)]})
    theirs.refresh_from_db()
    assert theirs.verified


def test_a_superuser_mends_the_address_of_a_colleague(root: Client) -> None:
    colleague = staff_person()
    address = EmailAddress.objects.create(user=colleague, email=colleague.email, primary=True, verified=False)
    root.post("/admin/account/emailaddress/", {"action": "make_verified", "_selected_action": [str(address.pk)]})
    address.refresh_from_db()
    assert address.verified
