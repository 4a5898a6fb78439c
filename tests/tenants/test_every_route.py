"""Every route of the customers' URL conf, asked by a stranger, by every scope and by every role."""

import pytest

from generation.models import Generation
from tenants import permissions
from tests.cast import Customer
from tests.tenants import walks
from tests.tenants.routes_expected import MAY
from tests.tenants.walks import World


@pytest.fixture
def theirs(ada: Customer) -> World:
    return walks.make_world(ada)


@pytest.fixture
def own(bob: Customer) -> World:
    return walks.make_world(bob, status=Generation.Status.COMPLETED)


def test_a_foreign_id_in_an_address_is_not_there(theirs: World, own: World) -> None:
    assert walks.foreign_ids_in_addresses(theirs, own) == []


def test_the_same_addresses_lead_somewhere_for_their_owner(theirs: World) -> None:
    """Else the walk above would be green for ids that do not exist at all."""
    program, browser = walks.program_of(theirs.customer), walks.browser_of(theirs)
    for route in walks.routes():
        # A private model has no sample sheet; everything else that can be looked at is there.
        if not route.parameters or route.kind == "other" or route.name in {"model-sample", "sample-page"}:
            continue
        if "GET" in (route.needs or {}):
            url = route.url(theirs.objects)
            status = walks.send(program if route.kind == "api" else browser, "GET", url).status_code
            expected = {302} if route.name == "run-stream" else {200, 202}  # leads on, with a ticket
            assert status in expected, url


def test_no_list_shows_what_is_a_strangers(theirs: World, own: World) -> None:
    assert walks.foreign_marks_in_lists(theirs, own) == []


def test_a_foreign_id_in_a_body_has_no_effect(theirs: World, own: World) -> None:
    assert walks.foreign_ids_in_bodies(theirs, own) == []


def test_each_method_of_the_api_needs_the_scope_that_is_written_down(own: World) -> None:
    assert walks.scopes_of_routes(own) == []


def test_each_role_may_do_what_is_written_down_and_no_more(own: World) -> None:
    assert walks.roles_on_pages(own) == []


def test_the_table_of_permissions_is_the_one_that_is_written_down() -> None:
    assert {name: set(roles) for name, roles in permissions.PERMISSIONS.items()} == MAY
    assert not any(permissions.may("emperor", name) for name in permissions.PERMISSIONS)
