"""A page stays with its workspace, though another tab of the same browser has switched to another one."""

from playwright.sync_api import Page, expect

from easel.database import platform_role
from tenants.models import Member, Tenant
from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.cast import Customer, make_customer


def two_tabs(easel: Easel, open_page: Opens) -> tuple[Page, Page, Customer]:
    """Of one browser, whose person is in two workspaces and looks at the first. The second one is given."""
    _first, user, cookie = easel.visitor()
    second = make_customer("Bob Pictures")
    with platform_role():
        Member.objects.create(tenant=second.tenant, user=user, role=Member.Role.OWNER)
    page = open_page(cookie)
    page.watch.allowed += ["409 (Conflict)", "Error Code 409"]  # type: ignore[attr-defined]
    return page, page.context.new_page(), second


def switch(page: Page, name: str) -> None:
    page.goto("/console/workspaces")
    page.locator("tr", has_text=name).get_by_role("button", name="Open").click()
    page.wait_for_url("**/console/")


def test_a_form_and_a_script_of_the_workspace_before_do_nothing(easel: Easel, open_page: Opens) -> None:
    page, other, second = two_tabs(easel, open_page)
    page.goto("/console/playground")
    expect(page.locator(".quote-price")).to_have_text("1 credit")
    switch(other, "Bob Pictures")
    page.fill("#prompt", "a red apple")
    expect(page.locator(".toast")).to_contain_text("out of date")
    switch(other, "Ada Pictures")
    other.goto("/console/settings")
    switch(page, "Bob Pictures")
    other.fill("#id_name", "Renamed")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_role("heading", name="That page was of another workspace")).to_be_visible()
    expect(other.get_by_text("You look at Bob Pictures now")).to_be_visible()
    with platform_role():
        assert Tenant.objects.get(id=second.id).name == "Bob Pictures"
