"""Members of a workspace: invited, joined, given roles, removed. Only owners touch owners, and the last one stays."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from django.core import mail
from django.db import connections
from django.test import Client, override_settings

from easel.database import platform_role
from tenants import audit, membership
from tenants.audit import Actor
from tenants.models import Founding, Invitation, Member, Tenant, User
from tests.aside import aside, name, wait_for_its_lock
from tests.cast import Customer
from tests.tenants.people import PASSWORD, let_in, link_in_mail, member_id, new_address, person, signed_in


@pytest.fixture(autouse=True)
def post_box() -> Iterator[None]:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield


def invite(browser: Client, email: str, role: str = "developer") -> None:
    answer = browser.post("/console/members/invite", {"email": email, "role": role})
    assert answer.status_code == 302, answer.content


def roles(tenant: Tenant) -> dict[str, str]:
    with platform_role():
        return {
            member.user.email: member.role for member in Member.objects.filter(tenant=tenant).select_related("user")
        }


def said(browser: Client) -> str:
    return browser.get("/console/members").content.decode()


def test_an_invited_person_joins_with_the_role_they_were_given(ada: Customer) -> None:
    owner, guest = person(ada.tenant), person()
    invite(signed_in(owner), guest.email, "viewer")
    browser = signed_in(guest)
    link = link_in_mail(guest.email)
    assert b"Ada" in browser.get(link).content
    assert roles(ada.tenant) == {owner.email: "owner"}, "looking is not accepting"
    assert browser.post(link)["Location"] == "/console/"
    assert roles(ada.tenant)[guest.email] == "viewer"
    assert browser.get("/console/").status_code == 200
    assert browser.post(link).status_code == 404, "an invitation is good once"
    with platform_role():
        actions = list(audit.AuditRecord.objects.filter(tenant_id=ada.id).values_list("action", "actor"))
        assert audit.first_break(ada.id) is None
    assert ("member.invited", owner.email) in actions
    assert ("member.joined", guest.email) in actions


def test_somebody_new_signs_up_by_the_invitation_even_where_sign_up_is_closed(ada: Customer) -> None:
    email = new_address()
    invite(signed_in(person(ada.tenant)), email)
    browser, link = Client(headers={"accept": "text/html"}), link_in_mail(email)
    assert browser.get(link).status_code == 200
    with override_settings(SIGN_UP_OPEN=False):
        answer = browser.post("/console/sign-up", {"email": email, "password1": PASSWORD, "organization": ""})
    assert answer.status_code == 302
    browser.post(link_in_mail(email))
    answer = browser.post("/console/sign-in", {"login": email, "password": PASSWORD})
    assert answer["Location"] == link, "signing in goes on with the invitation"
    browser.post(link)
    assert roles(ada.tenant)[email] == "developer"


@pytest.mark.parametrize("way", ["another address", "withdrawn"])
def test_where_sign_up_is_closed_an_invitation_lets_in_nobody_else(way: str, ada: Customer) -> None:
    invited, other = new_address(), new_address()
    owner = signed_in(person(ada.tenant))
    invite(owner, invited)
    browser = Client(headers={"accept": "text/html"})
    assert browser.get(link_in_mail(invited)).status_code == 200
    if way == "withdrawn":
        with platform_role():
            invitation = Invitation.objects.get(tenant=ada.tenant)
        owner.post(f"/console/members/invitations/{invitation.id}/revoke")
    email = invited if way == "withdrawn" else other
    with override_settings(SIGN_UP_OPEN=False):
        page = browser.post("/console/sign-up", {"email": email, "password1": PASSWORD}).content.decode()
    assert ("closed" if way == "withdrawn" else "Sign up with the address that your invitation was sent to.") in page
    with platform_role():
        assert not User.objects.filter(email=email).exists()


def test_an_invitation_to_a_closed_place_founds_no_workspace_of_ones_own(ada: Customer) -> None:
    email = new_address()
    invite(signed_in(person(ada.tenant)), email)
    browser = Client(headers={"accept": "text/html"})
    browser.get(link_in_mail(email))
    with override_settings(SIGN_UP_OPEN=False):
        assert b"organization" not in browser.get("/console/sign-up").content
        form = {"email": email, "password1": PASSWORD, "organization": "My own"}
        assert browser.post("/console/sign-up", form).status_code == 302
        browser.post(link_in_mail(email))
        browser = signed_in(email)
        page = browser.post("/console/welcome", {"name": "My own"}).content.decode()
        assert "New workspace" not in browser.get("/console/workspaces").content.decode()
        assert "New workspace" not in browser.get("/console/workspaces/menu").content.decode()
    assert "By invitation only" in page
    with platform_role():
        assert not Founding.objects.filter(user__email=email).exists()


def test_an_invitation_is_for_whoever_reads_that_mailbox(ada: Customer) -> None:
    guest, thief = person(), person()
    invite(signed_in(person(ada.tenant)), guest.email)
    browser = signed_in(thief)
    page = browser.post(link_in_mail(guest.email))
    assert guest.email in page.content.decode()
    assert thief.email not in roles(ada.tenant)


def test_a_forged_withdrawn_replaced_or_old_invitation_opens_nothing(ada: Customer, bob: Customer) -> None:
    guest = person()
    owner = signed_in(person(ada.tenant))
    browser = signed_in(guest)
    invite(owner, guest.email)
    first = link_in_mail(guest.email)
    invite(owner, guest.email)
    second = link_in_mail(guest.email)
    assert first != second
    assert browser.post(first).status_code == 404
    assert browser.post(second[:-1]).status_code == 404
    with platform_role():
        invitation = Invitation.objects.get(tenant=ada.tenant, revoked_at=None)
    stranger = signed_in(person(bob.tenant))
    assert stranger.post(f"/console/members/invitations/{invitation.id}/revoke").status_code == 404
    assert owner.post(f"/console/members/invitations/{invitation.id}/revoke").status_code == 302
    assert browser.post(second).status_code == 404
    invite(owner, guest.email)
    with platform_role():
        Invitation.objects.filter(tenant=ada.tenant).update(expires_at="2020-01-01T00:00:00Z")
    assert browser.post(link_in_mail(guest.email)).status_code == 404
    assert guest.email not in roles(ada.tenant)
    invite(owner, guest.email)
    browser.post(link_in_mail(guest.email))
    assert guest.email in roles(ada.tenant), "whose invitation has expired may be asked again"


def test_an_invitation_that_is_accepted_while_it_is_withdrawn_is_not_said_to_be_withdrawn(
    ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, guest = person(ada.tenant), person()
    invite(signed_in(owner), guest.email)
    with platform_role():
        invitation = Invitation.objects.get(tenant=ada.tenant)
    actor = Actor(kind="person", name=guest.email)

    def accept() -> None:
        try:
            membership.accept(invitation, guest, addresses={guest.email}, actor=actor)
        finally:
            connections.close_all()

    def meanwhile(*_: str) -> None:
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(accept).result()

    monkeypatch.setattr(membership, "_check_touches", meanwhile)
    assert not membership.revoke_invitation(ada.id, invitation.id, by_role="owner", actor=actor)
    assert guest.email in roles(ada.tenant)
    with platform_role():
        assert Invitation.objects.get(id=invitation.id).revoked_at is None


def test_a_role_is_changed_and_a_member_removed_at_once(ada: Customer) -> None:
    owner, other = person(ada.tenant), person(ada.tenant, "viewer")
    browser, their = signed_in(owner), signed_in(other)
    assert their.get("/console/keys").status_code == 403
    path = f"/console/members/{member_id(ada.tenant, other)}"
    browser.post(f"{path}/role", {"role": "developer"})
    assert their.get("/console/keys").status_code == 200
    assert browser.post(f"{path}/role", {"role": "emperor"}).status_code == 302
    assert "A role is one of" in said(browser)
    assert roles(ada.tenant)[other.email] == "developer"
    browser.post(f"{path}/remove")
    assert other.email not in roles(ada.tenant)
    assert their.get("/console/").status_code == 302


def test_a_rule_that_forbids_it_is_told_in_the_readers_language(ada: Customer) -> None:
    owner = person(ada.tenant)
    browser = let_in(owner)
    browser.cookies["easel_language"] = "zh-hans"
    invite(browser, owner.email)
    assert "此人已是成员" in said(browser)
    browser.post("/console/members/leave")
    assert "这是最后一位所有者" in said(browser)


LABELS = ".".join(letter * 63 for letter in "abc")


def test_the_longest_address_is_invited_joins_is_changed_and_removed(ada: Customer) -> None:
    owner = person(ada.tenant)
    browser = signed_in(owner)
    longest = f"{uuid4().hex}@{LABELS}.{'d' * 25}.com"
    assert len(longest) == 254
    guest = person(email=longest)
    invite(browser, longest, "viewer")
    assert signed_in(guest).post(link_in_mail(longest)).status_code == 302
    path = f"/console/members/{member_id(ada.tenant, guest)}"
    assert browser.post(f"{path}/role", {"role": "developer"}).status_code == 302
    assert roles(ada.tenant)[longest] == "developer"
    assert browser.post(f"{path}/remove").status_code == 302
    assert longest not in roles(ada.tenant)
    with platform_role():
        records = audit.AuditRecord.objects.filter(tenant_id=ada.id, details__email=longest).order_by("sequence")
        told = [(record.action, record.object_kind) for record in records]
        assert audit.first_break(ada.id) is None
    assert told == [
        ("member.invited", "invitation"),
        ("member.joined", "member"),
        ("member.role_changed", "member"),
        ("member.removed", "member"),
    ]


def open_ones(customer: Customer) -> set[str]:
    with platform_role():
        found = Invitation.objects.filter(tenant=customer.tenant, revoked_at=None, accepted_at=None)
        return set(found.values_list("email", flat=True))


def withdrawn(customer: Customer) -> list[str]:
    with platform_role():
        found = audit.AuditRecord.objects.filter(tenant_id=customer.id, action="member.invitation_revoked")
        return [record.details["email"] for record in found.order_by("sequence")]


@pytest.mark.parametrize("way", ["remove", "role", "leave"])
def test_whoever_may_no_longer_invite_does_not_come_back_by_an_invitation_of_theirs(way: str, ada: Customer) -> None:
    owner, admin = person(ada.tenant), person(ada.tenant, "admin")
    theirs, others = new_address(), new_address()
    browser = signed_in(admin)
    invite(browser, theirs, "admin")
    link = link_in_mail(theirs)
    invite(signed_in(owner), others)
    path = f"/console/members/{member_id(ada.tenant, admin)}"
    if way == "leave":
        browser.post("/console/members/leave")
    else:
        signed_in(owner).post(f"{path}/{way}", {"role": "developer"})
    assert signed_in(person(email=theirs)).post(link).status_code == 404
    assert open_ones(ada) == {others}
    assert withdrawn(ada) == [theirs]


def test_an_owner_who_becomes_an_admin_leaves_no_owners_invitation_open(ada: Customer) -> None:
    owner, other = person(ada.tenant), person(ada.tenant)
    to_owner, to_viewer = new_address(), new_address()
    browser = signed_in(other)
    invite(browser, to_owner, "owner")
    invite(browser, to_viewer, "viewer")
    signed_in(owner).post(f"/console/members/{member_id(ada.tenant, other)}/role", {"role": "admin"})
    assert open_ones(ada) == {to_viewer}
    assert withdrawn(ada) == [to_owner]


def test_an_invitation_made_in_the_moment_of_a_removal_is_withdrawn_with_the_others(ada: Customer) -> None:
    person(ada.tenant)
    admin = person(ada.tenant, "admin")
    admins, email = UUID(member_id(ada.tenant, admin)), new_address()
    actor = Actor(kind="person", name="somebody@example.com")
    with aside() as inviting, aside() as removing:
        inviting.do(
            lambda: membership.invite(
                ada.id, email=email, role="admin", by=admin, by_role="admin", actor=actor
            )
        )  # fmt: skip
        name(removing, "removes an admin")
        removing.begin(lambda: membership.remove(ada.id, admins, by_role="owner", actor=actor))
        wait_for_its_lock("removes an admin")
        inviting.commit()
        removing.answer()
    assert open_ones(ada) == set()
    with pytest.raises(membership.MembershipRefused, match="Only an owner or an admin"):
        membership.invite(ada.id, email=email, role="admin", by=admin, by_role="admin", actor=actor)


def test_only_owners_touch_owners(ada: Customer) -> None:
    owner, admin, viewer = person(ada.tenant), person(ada.tenant, "admin"), person(ada.tenant, "viewer")
    browser = signed_in(admin)
    before = roles(ada.tenant)
    browser.post(f"/console/members/{member_id(ada.tenant, owner)}/remove")
    browser.post(f"/console/members/{member_id(ada.tenant, owner)}/role", {"role": "viewer"})
    browser.post(f"/console/members/{member_id(ada.tenant, viewer)}/role", {"role": "owner"})
    browser.post(f"/console/members/{member_id(ada.tenant, admin)}/role", {"role": "owner"})
    browser.post("/console/members/invite", {"email": new_address(), "role": "owner"})
    assert said(browser).count("Only an owner") == 5
    assert roles(ada.tenant) == before
    assert mail.outbox == []


def test_only_owners_withdraw_or_replace_an_owners_invitation(ada: Customer) -> None:
    owner, admin = signed_in(person(ada.tenant)), signed_in(person(ada.tenant, "admin"))
    guest = person()
    invite(owner, guest.email, "owner")
    link = link_in_mail(guest.email)
    with platform_role():
        invitation = Invitation.objects.get(tenant=ada.tenant)
    withdrawal = f"/console/members/invitations/{invitation.id}/revoke"
    assert admin.post(withdrawal).status_code == 302
    invite(admin, guest.email.upper(), "viewer")
    assert said(admin).count("Only an owner") == 2
    assert len(mail.outbox) == 1
    assert signed_in(guest).get(link).status_code == 200, "it is still open"
    invite(owner, guest.email, "viewer")
    with platform_role():
        replacing = Invitation.objects.get(tenant=ada.tenant, revoked_at=None)
    assert replacing.role == "viewer"
    admin.post(f"/console/members/invitations/{replacing.id}/revoke")
    assert "The invitation is withdrawn." in said(admin)
    invite(owner, guest.email, "owner")
    with platform_role():
        latest = Invitation.objects.get(tenant=ada.tenant, revoked_at=None)
    owner.post(f"/console/members/invitations/{latest.id}/revoke")
    with platform_role():
        assert not Invitation.objects.filter(tenant=ada.tenant, revoked_at=None).exists()


@pytest.mark.parametrize("way", ["leave", "remove", "role"])
def test_the_last_owner_stays(way: str, ada: Customer) -> None:
    owner = person(ada.tenant)
    person(ada.tenant, "admin")
    browser = signed_in(owner)
    path = f"/console/members/{member_id(ada.tenant, owner)}"
    paths = {"leave": "/console/members/leave", "remove": f"{path}/remove", "role": f"{path}/role"}
    browser.post(paths[way], {"role": "admin"})
    assert "last owner" in said(browser)
    assert roles(ada.tenant)[owner.email] == "owner"
    person(ada.tenant)
    browser.post(paths[way], {"role": "admin"})
    assert roles(ada.tenant).get(owner.email) == ("admin" if way == "role" else None)


def test_of_two_owners_who_leave_at_the_same_moment_one_stays(ada: Customer) -> None:
    for _ in range(5):
        pair = [person(ada.tenant), person(ada.tenant)]
        ids = [member_id(ada.tenant, user) for user in pair]
        barrier = Barrier(2)

        def leave(number: int, pair: list[User] = pair, ids: list[str] = ids, barrier: Barrier = barrier) -> str:
            try:
                barrier.wait(10)
                actor = Actor(kind="person", name=pair[number].email)
                membership.remove(ada.id, ids[number], by_role="owner", actor=actor)  # type: ignore[arg-type]
            except membership.MembershipRefused as refused:
                return refused.code
            finally:
                connections.close_all()
            return "left"

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(leave, range(2))) == ["last_owner", "left"]
        with platform_role():
            Member.objects.filter(tenant=ada.tenant).delete()


def test_whoever_belongs_to_several_workspaces_switches_between_them(ada: Customer, bob: Customer) -> None:
    user = person(ada.tenant)
    with platform_role():
        Member.objects.create(tenant=bob.tenant, user=user, role="viewer")
    browser = signed_in(user)
    page = browser.get("/console/workspaces").content.decode()
    assert str(ada.id) in page
    assert str(bob.id) in page
    assert browser.get("/console/keys").status_code == 200
    assert browser.post("/console/workspaces/switch", {"tenant": str(bob.id)}).status_code == 302
    assert browser.get("/console/keys").status_code == 403, "a viewer there"
    with platform_role():
        Member.objects.filter(tenant=bob.tenant, user=user).delete()
    assert browser.get("/console/keys").status_code == 200, "back in the one that is left"


@pytest.mark.parametrize("wanted", ["{bob}", "", "x", "00000000-0000-0000-0000-000000000000"])
def test_nobody_switches_to_a_workspace_that_is_not_theirs(wanted: str, ada: Customer, bob: Customer) -> None:
    browser = signed_in(person(ada.tenant))
    answer = browser.post("/console/workspaces/switch", {"tenant": wanted.format(bob=bob.id)})
    assert answer.status_code == 404


def test_nobodys_mailbox_is_filled_with_invitations(ada: Customer, bob: Customer) -> None:
    victim = new_address()
    browsers = [signed_in(person(customer.tenant)) for customer in (ada, bob)]
    codes = [
        browser.post("/console/members/invite", {"email": victim.upper(), "role": "viewer"}).status_code
        for _ in range(6)
        for browser in browsers
    ]
    assert codes[:5] == [302] * 5
    assert 429 in codes
    assert len([each for each in mail.outbox if [to.lower() for to in each.to] == [victim]]) <= 10  # an hour may end
