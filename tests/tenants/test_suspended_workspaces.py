"""What staff have suspended shows nothing to its members, nor by its addresses; they can turn elsewhere or leave."""

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from easel.database import platform_role
from easel.identifiers import new_id
from generation import blurring, media, thumbnails
from tenants import permissions
from tenants.models import Invitation, Member, Tenant
from tests.cast import Customer
from tests.counting import queries
from tests.generation.delivered import delivered
from tests.tenants.people import let_in, person
from tests.tenants.walks import routes


def freeze(customer: Customer, *, thaw: bool = False) -> None:
    with platform_role():
        Tenant.objects.filter(id=customer.id).update(frozen_at=None if thaw else datetime.now(UTC))


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_no_page_of_it_opens_and_each_says_why(ada: Customer, role: str) -> None:
    browser = let_in(person(ada.tenant, role))
    freeze(ada)
    for path in ("/console/", "/console/gallery", "/console/live", "/console/live/events", "/console/members"):
        answer = browser.get(path)
        assert answer.status_code == 403, path
        assert "This workspace is suspended" in answer.content.decode(), path
    answer = browser.get("/console/live", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (403, b"")
    freeze(ada, thaw=True)
    assert browser.get("/console/gallery").status_code == 200


def test_every_route_of_a_workspace_is_closed_but_for_leaving(ada: Customer) -> None:
    browser = let_in(person(ada.tenant))
    freeze(ada)
    anything = defaultdict(lambda: str(new_id()))
    asked = 0
    for route in routes():
        for method, permission in (route.needs or {}).items() if route.kind == "console" else ():
            if permission != permissions.LEAVE:
                asked += 1
                assert browser.generic(method, route.url(anything)).status_code == 403, (method, route.name)
    assert asked > 50


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/console/members/invite", {"email": "somebody@example.com", "role": "viewer"}),
        ("/console/keys", {"name": "mine", "mode": "live", "scopes": ["generations:read"]}),
        ("/console/settings", {"name": "Renamed", "origins": ""}),
    ],
)
def test_nothing_in_it_is_done(ada: Customer, path: str, sent: dict[str, str]) -> None:
    browser = let_in(person(ada.tenant))
    freeze(ada)
    mail.outbox = []
    assert browser.post(path, sent).status_code == 403
    assert mail.outbox == []
    with platform_role():
        assert not Invitation.objects.filter(tenant=ada.tenant).exists()
        tenant = Tenant.objects.get(id=ada.id)
        assert (tenant.name, tenant.apikey_set.count()) == ("Ada", 1)


def test_its_members_can_turn_to_another_workspace_or_leave(ada: Customer, bob: Customer) -> None:
    owner, user = person(ada.tenant), person(ada.tenant, "developer")
    with platform_role():
        Member.objects.create(tenant=bob.tenant, user=user, role="viewer")
    freeze(ada)
    browser = let_in(user)
    assert browser.get("/console/gallery").status_code == 403
    for path in ("/console/workspaces", "/console/workspaces/menu", "/console/welcome", reverse("account_email")):
        assert browser.get(path).status_code == 200, path
    assert browser.post("/console/workspaces/switch", {"tenant": str(bob.id)}).status_code == 302
    assert browser.get("/console/gallery").status_code == 200
    assert browser.post("/console/workspaces/switch", {"tenant": str(ada.id)}).status_code == 302
    assert browser.post("/console/members/leave")["Location"] == "/console/workspaces"
    with platform_role():
        assert [each.user_id for each in Member.objects.filter(tenant=ada.tenant)] == [owner.id]


def test_it_costs_a_page_no_statement(ada: Customer) -> None:
    browser = let_in(person(ada.tenant))
    with queries() as before:
        assert browser.get("/console/members").status_code == 200
    freeze(ada)
    with queries() as statements:
        assert browser.get("/console/members").status_code == 403
    assert len(statements) < len(before)


def test_its_pictures_are_shown_at_no_signed_address(ada: Customer, bob: Customer) -> None:
    image, other = delivered(ada), delivered(bob)
    ways = (
        lambda each: media.address(each, base_url=""),
        lambda each: thumbnails.address(each.tenant_id, each.id),
        lambda each: blurring.address(each, base_url=""),
    )
    mine, others = [way(image) for way in ways], [way(other) for way in ways]
    assert [Client().get(address).status_code for address in mine] == [200, 200, 200]
    freeze(ada)
    assert [Client().get(address).status_code for address in mine] == [404, 404, 404]
    assert [Client().get(address).status_code for address in others] == [200, 200, 200]
    freeze(ada, thaw=True)
    assert [Client().get(address).status_code for address in mine] == [200, 200, 200]
