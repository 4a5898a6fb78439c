"""Two tabs share a session and its chosen workspace: what a page sends after a switch in the other tab reaches neither
the workspace that it is of nor the other one."""

from typing import Any

import pytest
from django.test import Client

from easel.database import platform_role, rows
from generation.models import Generation
from tenants import data_policy
from tenants.models import Member, Tenant
from tenants.scope import tenant_scope
from tests.cast import Customer
from tests.tenants.people import let_in, person

SENT = [
    ("/console/settings", {"name": "Renamed", "origins": ""}),
    ("/console/data-policy", {"retention_days": "1"}),
    ("/console/members/invite", {"email": "somebody@example.com", "role": "owner"}),
    ("/console/playground/draw", {"prompt": "a red apple"}),
]


@pytest.fixture
def browser(ada: Customer, bob: Customer) -> Client:
    """Of somebody who is in both, and looks at Ada's."""
    user = person(ada.tenant)
    with platform_role():
        Member.objects.create(tenant=bob.tenant, user=user, role=Member.Role.OWNER)
    return let_in(user)


def switch(browser: Client, customer: Customer) -> None:
    assert browser.post("/console/workspaces/switch", {"tenant": str(customer.id)}).status_code == 302


def state(customer: Customer) -> tuple[Any, ...]:
    """All that the requests above would change."""
    with tenant_scope(customer.id):
        policy = data_policy.policy_of(customer.id)
    with platform_role():
        name = Tenant.objects.get(id=customer.id).name
        invited = rows("SELECT count(*) FROM tenants_invitation WHERE tenant_id = %s", [customer.id])
        return name, policy, invited, Generation.objects.filter(tenant_id=customer.id).count()


@pytest.mark.parametrize(("path", "sent"), SENT)
def test_a_form_of_the_workspace_before_changes_nothing(
    ada: Customer, bob: Customer, browser: Client, path: str, sent: dict[str, str]
) -> None:
    assert f'data-workspace="{ada.id}"' in browser.get("/console/settings").content.decode()
    before = state(ada), state(bob)
    switch(browser, bob)
    answer = browser.post(path, {**sent, "workspace": str(ada.id)})
    assert answer.status_code == 409
    assert "You look at Bob now" in answer.content.decode()
    assert (state(ada), state(bob)) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_script_of_the_workspace_before_hears_so(ada: Customer, bob: Customer, browser: Client, method: str) -> None:
    """A GET as well: it would bring another workspace's pictures into the page."""
    switch(browser, bob)
    path = "/console/gallery" if method == "GET" else "/console/playground/quote"
    headers = {"HX-Request": "true", "X-Workspace": str(ada.id)}
    answer = browser.generic(method, path, headers=headers)
    assert (answer.status_code, answer.content) == (409, b"")
    assert browser.generic(method, path, headers={**headers, "X-Workspace": str(bob.id)}).status_code == 200


def test_whoever_is_a_member_no_more_changes_no_other_workspace(ada: Customer, bob: Customer, browser: Client) -> None:
    switch(browser, ada)
    with platform_role():
        Member.objects.filter(tenant=ada.tenant).delete()
    answer = browser.post("/console/settings", {"name": "Renamed", "origins": "", "workspace": str(ada.id)})
    assert answer.status_code == 409
    assert state(bob)[0] == "Bob"


def test_a_form_of_the_workspace_that_one_looks_at_is_taken(ada: Customer, bob: Customer, browser: Client) -> None:
    switch(browser, bob)
    answer = browser.post("/console/settings", {"name": "Renamed", "origins": "", "workspace": str(bob.id)})
    assert answer.status_code == 302
    assert (state(ada)[0], state(bob)[0]) == ("Ada", "Renamed")
