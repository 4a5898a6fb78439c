"""Walks over every route of the customers' URL conf. Each returns what is wrong, so that a test of the tests can show
that it would notice.

What a route needs is written in `routes_expected.py`: a route that is not there is reported by its name.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from easel.database import platform_role
from easel.identifiers import new_id
from generation.models import Generation, Image, Model, Pool
from tenants import keys, membership
from tenants.models import APIKey, Member, User
from tests.cast import Customer
from tests.tenants.people import person, signed_in

Wrong = list[str]
NAMES_NOTHING = {
    "form",
    "category",
    "owner",
    "version_id",
}  # parameters that are words of the platform, not objects of a tenant


@dataclass(frozen=True)
class Route:
    """`needs` is what the code itself says: a scope or a permission for each method; None: neither."""

    name: str
    path: str
    parameters: tuple[str, ...]
    kind: str  # api · console · other
    needs: dict[str, str] | None

    def url(self, objects: dict[str, str]) -> str:
        """Raises KeyError for a parameter that nobody has told the walk about."""
        from django.urls import reverse

        return reverse(self.name, kwargs={name: objects[name] for name in self.parameters})


def routes() -> list[Route]:
    return list(_routes(get_resolver("easel.urls").url_patterns))


def _routes(patterns: list[Any]) -> Iterator[Route]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            view: Any = pattern.callback
            parameters = tuple(pattern.pattern.regex.groupindex) or tuple(getattr(pattern.pattern, "converters", {}))
            name, path = pattern.name or str(pattern.pattern), str(pattern.pattern)
            if hasattr(view, "cls"):
                yield Route(name, path, parameters, "api", dict(getattr(view.cls, "scopes", {})))
            elif hasattr(view, "permissions"):
                yield Route(name, path, parameters, "console", dict(view.permissions))
            else:
                yield Route(name, path, parameters, "other", None)


# --- Whose objects the walks ask for -------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A tenant with one of everything that an address, a body or a query can name."""

    customer: Customer
    owner: User
    objects: dict[str, str]  # by the name of the route's parameter

    @property
    def marks(self) -> set[str]:
        """What no other tenant's answer may hold."""
        return {value for name, value in self.objects.items() if name not in NAMES_NOTHING} | {
            str(self.customer.id),
            self.owner.email,
        }


def make_world(customer: Customer, *, status: str = Generation.Status.QUEUED) -> World:
    owner, other = person(customer.tenant), person(customer.tenant, "viewer")
    with platform_role():
        name = f"walk-{new_id().hex}"
        pool = Pool.objects.create(name=name)
        model = Model.objects.create(tenant=customer.tenant, pool=pool, name=name, title="", source="", enabled=True)
        generation: Generation = Generation.objects.create(
            tenant=customer.tenant, key=customer.key, model=model, pool=pool, status=status,
            prompt_sealed=b"", negative_prompt_sealed=b"", steps=1, width=64, height=64, cfg_scale=1, sampler="",
            seed=0, format="png", work=0, quote=0,
        )  # fmt: skip
        image = Image.objects.create(
            tenant=customer.tenant, generation=generation, index=0, seed=0, width=64, height=64,
            content_type="image/png", bytes=1, sha256="", object_key=f"t/{customer.id}/walk", steps_run=1,
            released_at=datetime.now(UTC),
        )  # fmt: skip
        member = Member.objects.get(tenant=customer.tenant, user=other)
        actor = membership.Actor(kind="person", name=owner.email)
    invitation = membership.invite(
        customer.id, email=f"{name}@example.com", role="viewer", by=owner, by_role="owner", actor=actor
    )
    return World(
        customer,
        owner,
        {
            "generation_id": str(generation.id),
            "image_id": str(image.id),
            "public_id": customer.key.public_id,
            "name": name,
            "member_id": str(member.id),
            "invitation_id": str(invitation.id),
            "form": "csv",
            "category": "landscape",
            **_more(customer),
        },
    )


def _more(customer: Customer) -> dict[str, str]:
    """Objects of other areas, by the parameters of their routes."""
    from tests.tenants.routes_expected import OBJECTS

    with platform_role():
        return {name: str(make(customer)) for name, make in OBJECTS.items()}


def state_of(tenant_id: UUID) -> dict[str, str]:
    """A digest of every row of the tenant, by table: what a stranger must not be able to change."""
    with connections["platform"].cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' "
                       "AND table_schema = 'public' ORDER BY 1")  # fmt: skip
        tables = [name for (name,) in cursor.fetchall()]
        state = {}
        for table in tables:
            cursor.execute(f"SELECT t::text FROM {table} t WHERE tenant_id = %s ORDER BY 1", [tenant_id])
            state[table] = hashlib.sha256("\n".join(row for (row,) in cursor.fetchall()).encode()).hexdigest()
    return state


# --- The walks -----------------------------------------------------------------------------------------------


def foreign_ids_in_addresses(ada: World, bob: World) -> Wrong:
    """Every route with an id in its path, asked for Ada's by Bob's token and by Bob himself: 404, nothing changed."""
    from tests.tenants.routes_expected import ADDRESSED

    wrong: Wrong = []
    before = state_of(ada.customer.id)
    program, browser = program_of(bob.customer), browser_of(bob)
    for route in routes():
        if not route.parameters or route.kind == "other":
            continue
        try:
            url = route.url(ada.objects)
        except KeyError as unknown:
            wrong.append(f"{route.name}: make a {unknown} in routes_expected.OBJECTS")
            continue
        if set(route.parameters) <= NAMES_NOTHING:
            continue
        caller = program if route.kind == "api" else browser
        wrong += [
            f"{method} {url}: {answer.status_code}"
            for method in route.needs or {}
            if (answer := send(caller, method, url, ADDRESSED.get((route.name, method)))).status_code != 404
        ]
    return wrong + changed(before, state_of(ada.customer.id))


def foreign_marks_in_lists(ada: World, bob: World) -> Wrong:
    """Every page and list without an id in its path shows Bob nothing of Ada's, whatever the query names."""
    wrong: Wrong = []
    program, browser = program_of(bob.customer), browser_of(bob)
    before = state_of(ada.customer.id)
    for route in routes():
        if route.kind == "other" or set(route.parameters) - {"form"} or "GET" not in (route.needs or {}):
            continue
        url = route.url({"form": "json"})
        caller = program if route.kind == "api" else browser
        asked: list[tuple[str, str]] = [("", "")]
        asked += [(name, ada.objects[mark]) for name in QUERY for mark in ("generation_id", "public_id", "name")]
        for name, value in asked[: None if route.kind == "api" else 1]:
            answer = send(caller, "GET", f"{url}?{name}={value}" if name else url)
            said = _content(answer).replace(value, "") if value else _content(answer)
            shown = sorted(mark for mark in ada.marks if mark in said)
            if shown or answer.status_code >= 500:
                wrong.append(f"GET {url}?{name}={value}: {answer.status_code} shows {shown}")
    return wrong + changed(before, state_of(ada.customer.id))


QUERY = ("cursor", "before", "model", "key", "id", "tenant", "generation_id", "status", "group_by")


def foreign_ids_in_bodies(ada: World, bob: World) -> Wrong:
    """Every body that can name an object, naming Ada's: refused or without effect on anything of hers."""
    from tests.tenants.routes_expected import BODIES, CONSOLE_FORMS

    wrong: Wrong = []
    before = state_of(ada.customer.id)
    program, browser = program_of(bob.customer), browser_of(bob)
    known = {route.name: route for route in routes()}
    for name, method, body, allowed in BODIES(ada):
        answer = send(program, method, known[name].url(bob.objects), body)
        said = _content(answer)
        for value in map(str, body.values()):
            said = said.replace(value.strip("[]'"), "")
        if answer.status_code not in allowed or any(mark in said for mark in ada.marks):
            wrong.append(f"{method} {name} {body}: {answer.status_code}")
    for name, form, allowed in CONSOLE_FORMS(ada):
        status = browser.post(known[name].url(bob.objects), form).status_code
        if status not in allowed:
            wrong.append(f"POST {name} {form}: {status}")
    return wrong + changed(before, state_of(ada.customer.id))


def scopes_of_routes(bob: World) -> Wrong:
    """Each method of the API answers 401 without a token and 403 to a key that has every scope but the one expected."""
    from tests.tenants.routes_expected import OTHER, SCOPES

    wrong: Wrong = []
    anonymous = APIClient()
    lacking: dict[str, APIClient] = {}
    for route in routes():
        if route.kind == "api" and route.name not in SCOPES:
            wrong.append(f"{route.name}: write its scopes into routes_expected.SCOPES")
        if route.kind == "other" and route.name not in OTHER:
            wrong.append(f"{route.name}: say in routes_expected.OTHER why it needs neither scope nor permission")
        if route.kind != "api":
            continue
        url = route.url(bob.objects)
        for method, scope in SCOPES.get(route.name, {}).items():
            if (status := send(anonymous, method, url).status_code) != 401:
                wrong.append(f"{method} {url} without a token: {status}")
            caller = lacking.setdefault(scope, all_but(bob.customer, scope))
            answer = send(caller, method, url)
            if answer.status_code != 403 or "insufficient_scope" not in _content(answer):  # in whatever dialect
                wrong.append(f"{method} {url} without {scope}: {answer.status_code}")
        extra = sorted(set(route.needs or {}) - SCOPES.get(route.name, {}).keys())
        wrong += [f"{method} {route.name}: nobody expected this method" for method in extra]
    gone = SCOPES.keys() - {route.name for route in routes()}
    return wrong + [f"{name}: is expected and not there" for name in sorted(gone)]


def roles_on_pages(bob: World) -> Wrong:
    """Each method of each page, asked by each role: 403 exactly where the table says that this role may not."""
    from tests.tenants.routes_expected import MAY, PAGES

    wrong: Wrong = []
    browsers = {
        role: signed_in(person(bob.customer.tenant, role)) for role in ("owner", "admin", "developer", "viewer")
    }
    for route in routes():
        if route.kind != "console":
            continue
        if route.name not in PAGES:
            wrong.append(f"{route.name}: write its permissions into routes_expected.PAGES")
            continue
        if set(route.needs or {}) != PAGES[route.name].keys():
            wrong.append(f"{route.name}: answers {sorted(route.needs or {})}, expected {sorted(PAGES[route.name])}")
        url = route.url({**bob.objects, **NOT_THERE})
        for method, permission in PAGES[route.name].items():
            for role, browser in browsers.items():
                if route.name == "leave-workspace":
                    browser = signed_in(person(bob.customer.tenant, role))  # noqa: PLW2901  one that may leave
                status = send(browser, method, url).status_code
                if (status != 403) != (role in MAY[permission]):
                    wrong.append(f"{method} {url} by {role}: {status}")
            stranger = send(Client(), method, url).status_code
            if stranger != 302:
                wrong.append(f"{method} {url} by nobody: {stranger}")
    return wrong


# Pages that change something are asked about what is not there: whether they may is decided before.
NOBODY = "00000000-0000-7000-8000-000000000000"
NOT_THERE = {
    **dict.fromkeys(("member_id", "invitation_id", "generation_id"), NOBODY),
    "public_id": "ek_live_" + "0" * 20,
}


def program_of(customer: Customer) -> APIClient:
    return customer.client()


def all_but(customer: Customer, scope: str) -> APIClient:
    """A client with a key that may do everything else."""
    with platform_role():
        key, _ = keys.mint(customer.tenant, name="all but one", scopes=keys.SCOPES.keys() - {scope})
        record = keys.find(key.public_id)
        assert record is not None
    client = APIClient()
    from tenants import tokens

    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(record, record.scopes)}")
    return client


def browser_of(world: World) -> Client:
    return signed_in(world.owner)


def send(caller: Client | APIClient, method: str, url: str, body: Any = None) -> HttpResponse:
    """Without raising what a view raises: a 500 is an answer here."""
    caller.raise_request_exception = False
    if isinstance(caller, APIClient):
        data = {} if body is None and method != "GET" else body
        answer: HttpResponse = getattr(caller, method.lower())(url, data, format="json")
    else:
        answer = getattr(caller, method.lower())(url)
    return answer


def changed(before: dict[str, str], after: dict[str, str]) -> Wrong:
    return [f"changed: {table}" for table in before if before[table] != after[table]]


def _content(answer: Any) -> str:
    data = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return bytes(data).decode("utf-8", "replace")


def revoked(customer: Customer) -> bool:
    with platform_role():
        return APIKey.objects.get(id=customer.key.id).revoked_at is not None
