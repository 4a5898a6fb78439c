"""The one statement that picks a request's model agrees with the list of what a tenant may use."""

from typing import Any

import pytest

from easel.database import changed, platform_role
from easel.identifiers import new_id
from generation import pick, routing
from generation.models import Model, ModelAccess, Pool, RouteOverride
from tenants.scope import tenant_scope
from tests.cast import Customer

CASES: dict[str, dict[str, Any]] = {
    "everybodys": {},
    "off": {"enabled": False},
    "retired": {"retired_at": "2026-01-01T00:00:00Z"},
    "restricted": {"restricted": True},
    "given": {"restricted": True},
    "own": {"tenant": "ada"},
    "own-restricted": {"tenant": "ada", "restricted": True},
    "others": {"tenant": "bob"},
}


@pytest.fixture
def models(ada: Customer, bob: Customer) -> dict[str, Model]:
    tag, owners = new_id().hex[-8:], {"ada": ada.tenant, "bob": bob.tenant}
    with platform_role():
        changed("UPDATE generation_model SET is_default = false, categories = '[]'")
        pool = Pool.objects.create(name=f"pick-{tag}")
        made = {
            case: Model.objects.create(
                name=f"{case}-{tag}", title=case, source="/nowhere", pool=pool,
                **{**given, "tenant": owners.get(given.get("tenant", ""))},
            )
            for case, given in CASES.items()
        }  # fmt: skip
        ModelAccess.objects.create(tenant=ada.tenant, model=made["given"])
    return made


def test_what_may_be_used_is_picked_and_nothing_else(ada: Customer, models: dict[str, Model]) -> None:
    with tenant_scope(ada.id):
        listed = set(routing.usable(ada.id).values_list("id", flat=True))
        picked = {case for case, model in models.items() if pick.named(ada.id, model.name).ask()}
    assert picked == {case for case, model in models.items() if model.id in listed}
    assert picked == {"everybodys", "given", "own", "own-restricted"}


def test_a_picked_model_is_the_row_itself(ada: Customer, models: dict[str, Model]) -> None:
    with tenant_scope(ada.id):
        found = pick.named(ada.id, models["own"].name).ask()
        row = Model.objects.select_related("pool").get(id=models["own"].id)
        assert found is not None
        picked = found.model
        for field in Model._meta.concrete_fields:
            assert getattr(picked, field.attname) == getattr(row, field.attname), field
        assert picked.pool.name == row.pool.name


def test_ones_own_goes_before_everybodys_of_the_same_name(
    ada: Customer, bob: Customer, models: dict[str, Model]
) -> None:
    name = models["everybodys"].name
    with platform_role():
        own = Model.objects.create(
            tenant=ada.tenant, name=name, title="own", source="/nowhere", pool=models["own"].pool
        )
    for customer, expected in ((ada, own), (bob, models["everybodys"])):
        with tenant_scope(customer.id):
            picked = pick.named(customer.id, name).ask()
        assert picked is not None
        assert picked.model.id == expected.id


def test_for_a_category_the_tenants_choice_goes_first_then_who_is_meant_for_it_then_the_default(
    ada: Customer, models: dict[str, Model]
) -> None:
    def picked() -> tuple[str, bool, bool] | None:
        with tenant_scope(ada.id):
            found = pick.for_category(ada.id, "animal").ask()
        return (found.model.title, found.own, found.fits) if found else None

    assert picked() is None
    with platform_role():
        Model.objects.filter(id=models["everybodys"].id).update(is_default=True)
    assert picked() == ("everybodys", False, False)
    with platform_role():
        Model.objects.filter(id=models["given"].id).update(categories=["animal", "food"])
    assert picked() == ("given", False, True)
    with tenant_scope(ada.id):
        RouteOverride.objects.create(tenant_id=ada.id, category="animal", model=models["own"])
        RouteOverride.objects.create(tenant_id=ada.id, category="food", model=models["everybodys"])
    assert picked() == ("own", True, False)
    with platform_role():
        Model.objects.filter(id=models["own"].id).update(enabled=False)
    assert picked() == ("given", False, True)
    with tenant_scope(ada.id):
        unknown = pick.for_category(ada.id, None).ask()
    assert unknown is not None
    assert unknown.model.title == "everybodys"
