"""The walks go red when a policy, a permission line or a route's scope is taken away. Each mutation is undone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, models
from django.http import HttpRequest, HttpResponse
from django.urls import clear_url_caches, get_resolver, path

from generation.models import Generation
from tenants import permissions
from tenants.api import KeyDetail, KeyList
from tenants.authentication import HasScope
from tenants.console import Visitor, console_page
from tenants.scope import TenantManager
from tests.cast import Customer
from tests.contract import OffContract
from tests.tenants import sql_walk, walks
from tests.tenants.walks import World

OWN = "tenant_id = nullif(current_setting('app.tenant', true), '')::uuid"


@pytest.fixture
def theirs(ada: Customer) -> World:
    return walks.make_world(ada)


@pytest.fixture
def own(bob: Customer) -> World:
    return walks.make_world(bob, status=Generation.Status.COMPLETED)


def owner_runs(statement: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET lock_timeout = '10s'")  # rather a red test than a suite that waits
        cursor.execute(statement)


@contextmanager
def altered(table: str, condition: str) -> Iterator[None]:
    """Another condition in the customer web's policy, for real."""
    owner_runs(f"ALTER POLICY web ON {table} USING ({condition}) WITH CHECK ({condition})")
    try:
        yield
    finally:
        owner_runs(f"ALTER POLICY web ON {table} USING ({OWN}) WITH CHECK ({OWN})")


@pytest.mark.parametrize("table", ["tenants_apikey", "tenants_invitation"])
def test_a_policy_taken_away(table: str, theirs: World, own: World) -> None:
    victim, thief = theirs.customer.id, own.customer.id
    with altered(table, "true"):
        assert any(wrong.startswith(f"{table}:") for wrong in sql_walk.nothing_without_a_scope())
        # The walk takes what it can get: whatever it finds here is Ada's no more.
        assert any(wrong.startswith(f"{table}:") for wrong in sql_walk.nothing_of(victim, in_scope_of=thief))
    assert sql_walk.nothing_of(victim, in_scope_of=thief) == []


def test_both_walls_taken_away(theirs: World, own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone keeps strangers out, which is why there are two: each has a walk of its own, and this one sees both."""
    assert walks.foreign_ids_in_addresses(theirs, own) == []
    monkeypatch.setattr(TenantManager, "get_queryset", models.Manager.get_queryset)
    assert walks.foreign_ids_in_addresses(theirs, own) == [], "the database holds alone"
    with altered("generation_generation", "true"):
        assert any("/v1/generations/" in wrong for wrong in walks.foreign_ids_in_addresses(theirs, own))


def test_a_manager_without_its_scope(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TenantManager, "get_queryset", models.Manager.get_queryset)
    assert "APIKey: a worker in one tenant's scope sees another's" in sql_walk.managers_across_tenants(own.customer.id)


@pytest.mark.parametrize(
    ("line", "roles"),
    [("keys.manage", permissions.ROLES), ("audit.read", ("owner", "admin")), ("members.manage", ("owner",))],
)
def test_a_permission_line_changed(
    line: str, roles: tuple[str, ...], own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(permissions.PERMISSIONS, line, frozenset(roles))
    assert walks.roles_on_pages(own) != []


@pytest.mark.parametrize(
    ("view", "scopes"),
    [
        (KeyList, {"GET": "keys:read"}),
        (KeyList, {"GET": "keys:read", "POST": "keys:read"}),
        (KeyDetail, {"GET": "keys:read", "PATCH": "keys:write", "DELETE": "keys:write", "PUT": "keys:write"}),
    ],
)
def test_a_routes_scope_taken_away(view: Any, scopes: dict[str, str], own: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(view, "scopes", scopes)
    try:
        noticed: object = walks.scopes_of_routes(own)
    except OffContract as off:  # a method without a scope answers 405: the API's description notices that first
        noticed = off
    assert noticed


def test_a_check_of_scopes_that_lets_everybody_through(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HasScope, "has_permission", lambda *_: True)
    assert walks.scopes_of_routes(own) != []


@console_page({"GET": "console.view"})
def forgotten(request: HttpRequest, visitor: Visitor, **_: str) -> HttpResponse:
    return HttpResponse()


@pytest.mark.parametrize(
    ("route", "walk"),
    [("console/forgotten", "roles_on_pages"), ("console/forgotten/<uuid:thing_id>", "foreign_ids_in_addresses")],
)
def test_a_route_that_nobody_wrote_down(route: str, walk: str, theirs: World, own: World) -> None:
    patterns = get_resolver("easel.urls").url_patterns
    patterns.append(path(route, forgotten, name="forgotten"))
    clear_url_caches()
    try:
        worlds = (own,) if walk == "roles_on_pages" else (theirs, own)
        assert any("forgotten" in wrong for wrong in getattr(walks, walk)(*worlds))
    finally:
        patterns.pop()
        clear_url_caches()
