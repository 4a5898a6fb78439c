"""Power over keys ends where one's own powers end: by scopes, networks, dates, limits and roles."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse

from billing.models import Allowance
from easel.database import platform_role
from tenants import key_powers, keys
from tenants.models import APIKey
from tests.cast import Customer
from tests.tenants.people import person, signed_in
from tests.tenants.test_managing_keys import calling

HERE = "127.0.0.0/8"
SECRET = re.compile(r"\bes_[A-Za-z0-9]{43}\b")
SOON = datetime.now(UTC) + timedelta(hours=1)


def bind(customer: Customer, **fields: Any) -> None:
    with platform_role():
        APIKey.objects.filter(id=customer.key.id).update(**fields)
    keys.forget_all()


def sibling(customer: Customer, scopes: list[str] | None = None) -> APIKey:
    with platform_role():
        key, _ = keys.mint(customer.tenant, name="sibling", scopes=scopes or ["generations:read"])
    return key


def make(customer: Customer, **fields: Any) -> HttpResponse:
    asked = {"name": "x", "scopes": ["generations:read"], **fields}
    answer: HttpResponse = calling(customer).post("/v1/keys", asked, format="json")
    return answer


def field_of(answer: Any) -> str:
    assert answer.status_code == 400, answer.content
    (error,) = answer.json()["errors"]
    assert error["code"] == "beyond_your_own"
    return str(error["field"])


def test_a_key_bound_to_networks_makes_none_that_is_bound_less(ada: Customer) -> None:
    bind(ada, allowed_networks=[HERE])
    assert field_of(make(ada)) == "allowed_networks"
    assert field_of(make(ada, allowed_networks=["127.0.0.1", "192.0.2.0/24"])) == "allowed_networks"
    assert field_of(make(ada, allowed_networks=["::1"])) == "allowed_networks"
    assert make(ada, allowed_networks=["127.0.0.0/16"]).status_code == 201


def test_a_key_that_ends_makes_none_that_ends_later(ada: Customer) -> None:
    bind(ada, expires_at=SOON)
    assert field_of(make(ada)) == "expires_at"
    assert field_of(make(ada, expires_at=(SOON + timedelta(seconds=1)).isoformat())) == "expires_at"
    assert make(ada, expires_at=(SOON - timedelta(seconds=1)).isoformat()).status_code == 201


@pytest.mark.parametrize(
    ("bound", "freed"),
    [({"allowed_networks": [HERE]}, {"allowed_networks": []}), ({"expires_at": SOON}, {"expires_at": None})],
)
def test_a_key_does_not_free_itself(bound: dict[str, Any], freed: dict[str, Any], ada: Customer) -> None:
    bind(ada, **bound)
    answer = calling(ada).patch(f"/v1/keys/{ada.key.public_id}", freed, format="json")
    assert field_of(answer) == next(iter(freed))
    assert calling(ada).patch(f"/v1/keys/{ada.key.public_id}", {"name": "new"}, format="json").status_code == 200


@pytest.mark.parametrize("bound", [{"allowed_networks": [HERE]}, {"expires_at": SOON}])
def test_a_bound_key_takes_over_none_that_is_free(bound: dict[str, Any], ada: Customer) -> None:
    free = sibling(ada)
    bind(ada, **bound)
    for method, path in (("post", f"/v1/keys/{free.public_id}/rotate"), ("patch", f"/v1/keys/{free.public_id}")):
        answer = getattr(calling(ada), method)(path, {"name": "x"} if method == "patch" else {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert calling(ada).post(f"/v1/keys/{ada.key.public_id}/rotate", {}, format="json").status_code == 200


@pytest.mark.parametrize(
    "limit", ["spend_cap", "staff_cap", "generations_per_day", "generations_per_month", "requests_per_minute"]
)
def test_a_limited_key_makes_and_takes_over_no_sibling_without_the_limit(limit: str, ada: Customer) -> None:
    free = sibling(ada)
    with platform_role():
        Allowance.objects.create(tenant=ada.tenant, key_id=ada.key.id, **{limit: 1000})
    for answer in (make(ada), calling(ada).post(f"/v1/keys/{free.public_id}/rotate", {}, format="json")):
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert calling(ada).post(f"/v1/keys/{ada.key.public_id}/rotate", {}, format="json").status_code == 200


@pytest.mark.parametrize(
    ("inner", "outer", "is_within"),
    [
        ([], [], True), (["192.0.2.1"], [], True), ([], ["192.0.2.0/24"], False),
        (["192.0.2.1"], ["192.0.2.0/24"], True), (["192.0.2.0/23"], ["192.0.2.0/24"], False),
        (["2001:db8::/64"], ["192.0.2.0/24"], False), (["2001:db8::/64"], ["192.0.2.0/24", "2001:db8::/32"], True),
        (["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"], False),
    ],
)  # fmt: skip
def test_networks_within_networks(inner: list[str], outer: list[str], is_within: bool) -> None:
    assert key_powers.within(inner, outer) is is_within


@pytest.mark.parametrize("scope", key_powers.PERSONAL)
def test_a_developer_gives_no_key_what_only_admins_and_owners_may_do(scope: str, ada: Customer) -> None:
    strong = sibling(ada, [scope])
    for role, done in (("developer", False), ("owner", True)):
        browser = signed_in(person(ada.tenant, role))
        form = {"name": f"{role}'s", "mode": "live", "scopes": [scope], "networks": ""}
        page = browser.post("/console/keys", form)
        with platform_role():
            made = APIKey.objects.filter(tenant=ada.tenant, name=f"{role}'s").exists()
        assert (made, bool(SECRET.search(page.content.decode()))) == (done, done)
        assert (f'value="{scope}"' in browser.get("/console/keys").content.decode()) is done
        rotated = browser.post(f"/console/keys/{strong.public_id}/rotate", {"hours": "0"})
        assert (rotated.status_code == 200) is done


@pytest.mark.parametrize("scope", key_powers.PERSONAL)
def test_a_developer_ends_no_key_that_may_do_more_than_they(scope: str, ada: Customer) -> None:
    strong = sibling(ada, [scope])
    path = f"/console/keys/{strong.public_id}/revoke"
    for role, done in (("developer", False), ("owner", True)):
        browser = signed_in(person(ada.tenant, role))
        page = browser.get("/console/keys").content.decode()
        assert strong.public_id in page
        assert (path in page) is done
        revoked = browser.post(path)
        assert revoked.status_code == (302 if done else 403)
        with platform_role():
            assert (APIKey.objects.get(id=strong.id).revoked_at is not None) is done
    weak = sibling(ada, ["generations:read"])
    browser = signed_in(person(ada.tenant, "developer"))
    path = f"/console/keys/{weak.public_id}/revoke"
    assert path in browser.get("/console/keys").content.decode()
    assert browser.post(path).status_code == 302


def test_every_scope_of_which_a_role_knows_a_permission_is_a_scope() -> None:
    assert key_powers.PERSONAL.keys() <= keys.SCOPES.keys()
    assert key_powers.grantable("owner", keys.SCOPES) == keys.SCOPES.keys()
