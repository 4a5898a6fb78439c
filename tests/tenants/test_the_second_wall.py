"""Raw SQL under the customer web's role, as after a mistake or a break-in: another tenant's rows stay out of reach."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, IntegrityError, ProgrammingError

from billing import ledger
from billing.models import Entry
from easel.database import atomic, changed, platform_role, rows
from easel.identifiers import new_id
from generation.models import Generation, IdempotencyRecord, Model, Pool
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tests.cast import Customer

INSERT_MEMBER = "INSERT INTO tenants_member (id, tenant_id, user_id, role) VALUES (%s, %s, %s, 'owner')"


@pytest.fixture
def carol(ada: Customer) -> User:
    with platform_role():
        return User.objects.create_user(f"carol-{ada.id}@example.com")


@pytest.fixture
def boss(ada: Customer) -> Iterator[User]:
    with platform_role():
        boss = User.objects.create_user(f"boss-{ada.id}@example.com", is_staff=True)
    yield boss
    with platform_role():
        boss.delete()


@pytest.mark.parametrize("table", ["tenants_tenant", "tenants_apikey", "billing_wallet", "billing_entry"])
def test_without_a_scope_nothing_is_there(table: str, ada: Customer) -> None:
    assert rows(f"SELECT 1 FROM {table}") == []
    with platform_role():
        assert rows(f"SELECT 1 FROM {table}") != []


def test_without_a_scope_nothing_can_be_changed_or_inserted(ada: Customer, carol: User) -> None:
    assert changed("UPDATE tenants_apikey SET name = 'x'") == 0
    assert changed("DELETE FROM tenants_apikey") == 0
    with pytest.raises(ProgrammingError, match="row-level security"):
        changed(INSERT_MEMBER, [new_id(), ada.id, carol.id])


@pytest.mark.parametrize("setting", ["", "{bob}", "'; --", "NULL"])
def test_a_broken_or_foreign_setting_never_shows_adas_rows(setting: str, ada: Customer, bob: Customer) -> None:
    with atomic():
        rows("SELECT set_config('app.tenant', %s, true)", [setting.format(bob=bob.id)])
        try:
            with atomic():
                seen = rows("SELECT tenant_id FROM tenants_apikey")
        except DatabaseError:  # not a UUID
            seen = []
    assert (ada.id,) not in seen


def test_in_a_scope_another_tenants_rows_cannot_be_seen_changed_taken_or_made(
    ada: Customer, bob: Customer, carol: User
) -> None:
    with tenant_scope(ada.id):
        assert rows("SELECT DISTINCT tenant_id FROM tenants_apikey") == [(ada.id,)]
        assert rows("SELECT id FROM tenants_tenant") == [(ada.id,)]
        assert changed("UPDATE tenants_apikey SET name = 'x' WHERE tenant_id = %s", [bob.id]) == 0
        assert changed("DELETE FROM tenants_apikey WHERE tenant_id = %s", [bob.id]) == 0
    for sql, parameters in (
        (INSERT_MEMBER, [new_id(), bob.id, carol.id]),
        ("UPDATE tenants_apikey SET tenant_id = %s", [bob.id]),
    ):
        with pytest.raises(ProgrammingError, match="row-level security"), tenant_scope(ada.id):
            changed(sql, parameters)


def test_a_row_cannot_point_at_another_tenants_parent(ada: Customer, bob: Customer) -> None:
    generation_id = generation_of(ada)

    def remember(customer: Customer) -> None:
        with tenant_scope(customer.id):
            IdempotencyRecord.objects.create(
                tenant=customer.tenant, key=str(new_id()), digest=b"", generation_id=generation_id
            )

    remember(ada)
    with pytest.raises(IntegrityError, match="same_tenant"):
        remember(bob)
    with platform_role(), pytest.raises(IntegrityError, match="same_tenant"):
        remember(bob)


def generation_of(customer: Customer) -> UUID:
    """A row with just enough in it to be pointed at."""
    with platform_role(), atomic():
        name = f"wall-{customer.id.hex}"
        pool = Pool.objects.create(name=name)
        model = Model.objects.create(tenant=customer.tenant, pool=pool, name=name, title="", source="", enabled=False)
        generation: Generation = Generation.objects.create(
            tenant=customer.tenant, key=customer.key, model=model, pool=pool, status=Generation.Status.CANCELED,
            prompt_sealed=b"", negative_prompt_sealed=b"", steps=1, width=64, height=64, cfg_scale=1, sampler="",
            seed=0, format="png", work=0, quote=0,
        )  # fmt: skip
    return generation.id


def test_a_generation_cannot_use_another_tenants_key(ada: Customer, bob: Customer) -> None:
    generation_id = generation_of(ada)
    with platform_role(), pytest.raises(IntegrityError, match="same_tenant"), atomic():
        Generation.objects.filter(id=generation_id).update(key=bob.key)


@pytest.mark.parametrize("sql", ["UPDATE billing_entry SET available_delta = 0", "DELETE FROM billing_entry",
                                 "TRUNCATE billing_entry"])  # fmt: skip
def test_the_web_cannot_rewrite_what_happened_to_its_money(sql: str, ada: Customer) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), tenant_scope(ada.id):
        changed(sql)
    with tenant_scope(ada.id):
        assert Entry.objects.exists()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE billing_wallet SET available = available + 1",
        "UPDATE billing_wallet SET available = available + 1, held = held",
        "UPDATE billing_lot SET available = available + 1, charged = charged - 1",
        "UPDATE billing_lot SET amount = amount + 1, available = available + 1",
        "UPDATE billing_lot SET expires_at = NULL",
        "UPDATE billing_hold SET charged = charged - 1",
        "UPDATE billing_hold SET remaining = remaining + 1",
        "UPDATE billing_hold SET refunded = 0",
        "INSERT INTO billing_lot SELECT * FROM billing_lot",
        "INSERT INTO billing_wallet SELECT * FROM billing_wallet",
        "DELETE FROM billing_wallet",
        "INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id, reason) "
        "SELECT gen_random_uuid(), tenant_id, 'grant', 1, 0, 'x', '' FROM billing_wallet",
        "INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id, reason) "
        "SELECT gen_random_uuid(), tenant_id, 'release', 1, 0, 'x', '' FROM billing_wallet",
    ],
)
def test_the_web_cannot_make_credits(sql: str, ada: Customer) -> None:
    """Code that runs in the web process can spend the tenant's credits, and make none."""
    with tenant_scope(ada.id):
        ledger.hold(ada.id, owner := new_id(), 10)
        ledger.settle(ada.id, owner, charge=4)
        ledger.hold(ada.id, new_id(), 3)
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|row-level security|cannot change"),
        tenant_scope(ada.id),
    ):
        changed(sql)


def test_a_generation_cannot_name_another_tenants_own_model(ada: Customer, bob: Customer) -> None:
    generation_id = generation_of(ada)
    with platform_role():
        own = Model.objects.get(name=f"wall-{ada.id.hex}")
        pool = Pool.objects.get(name=own.name)
        theirs = Model.objects.create(
            tenant=bob.tenant, pool=pool, name=f"{own.name}-bob", title="", source="", enabled=True
        )
        everybodys = Model.objects.create(pool=pool, name=f"{own.name}-all", title="", source="", enabled=False)

    def name(model: Model) -> None:
        changed("UPDATE generation_generation SET model_id = %s WHERE id = %s", [model.id, generation_id])

    with tenant_scope(ada.id):
        name(everybodys)
        name(own)
    with pytest.raises(IntegrityError, match="no model of its tenant"), tenant_scope(ada.id):
        name(theirs)
    with platform_role(), pytest.raises(IntegrityError, match="no model of its tenant"), atomic():
        name(theirs)
    with pytest.raises(IntegrityError, match="no model of its tenant"), tenant_scope(ada.id):
        changed("UPDATE generation_model SET fallback_id = %s WHERE id = %s", [theirs.id, own.id])


@pytest.mark.parametrize("column", ["frozen_at = NULL", "data_key = ''", "data_key_version = 2", "id = id"])
def test_the_web_cannot_unfreeze_a_tenant_or_change_its_key(column: str, ada: Customer) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), tenant_scope(ada.id):
        changed(f"UPDATE tenants_tenant SET {column}")


def test_the_web_can_rename_its_tenant_and_no_other(ada: Customer, bob: Customer) -> None:
    with tenant_scope(ada.id):
        assert changed("UPDATE tenants_tenant SET name = 'Renamed'") == 1
    with platform_role():
        assert Tenant.objects.get(id=bob.id).name == "Bob"


def test_to_the_web_staff_do_not_exist(boss: User, carol: User) -> None:
    assert User.objects.filter(id=carol.id).exists()
    assert not User.objects.filter(id=boss.id).exists()
    assert changed("UPDATE tenants_user SET password = '' WHERE id = %s", [boss.id]) == 0


@pytest.mark.parametrize("power", ["is_staff", "is_superuser"])
def test_the_web_cannot_make_staff(power: str, carol: User) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"):
        changed(f"UPDATE tenants_user SET {power} = true WHERE id = %s", [carol.id])
    with pytest.raises(ProgrammingError, match="row-level security"):
        User.objects.create_user(f"new-{carol.id}@example.com", **{power: True})


def test_each_role_sees_the_sessions_it_made_and_makes_none_of_another() -> None:
    console = SessionStore()
    console.create()
    with platform_role():
        staff = SessionStore()
        staff.create()
        assert staff.exists(str(staff.session_key))
        assert not staff.exists(str(console.session_key))
    assert console.exists(str(console.session_key))
    assert not console.exists(str(staff.session_key))
    with pytest.raises(ProgrammingError, match="row-level security"):
        changed("UPDATE django_session SET made_by = 'easel_platform' WHERE session_key = %s", [console.session_key])


def test_a_person_signs_up_and_changes_themselves_through_the_web(ada: Customer) -> None:
    person = User.objects.create_user(f"new-{ada.id}@example.com", "a long password")
    person.name = "New"
    person.save()
    assert User.objects.get(id=person.id).name == "New"


@pytest.mark.parametrize("role", ["easel_platform", "easel_owner"])
def test_the_web_cannot_become_another_role(role: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        rows(f"SET ROLE {role}")


def test_the_webs_only_look_across_tenants_needs_a_whole_key_id(ada: Customer) -> None:
    assert len(rows("SELECT key_id FROM auth_key(%s)", [ada.key.public_id])) == 1
    for guess in ("", "%", "ek_live_%", ada.key.public_id[:-1], ada.key.public_id.lower()):
        assert rows("SELECT key_id FROM auth_key(%s)", [guess]) == []
