"""The database is the second wall. A walk through its catalogue: a table that is forgotten shows here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models

from easel.embedded.stack import Stack

# Tables without a tenant, and what the customer web may do to them.
GLOBAL = {
    "account_emailaddress": "DELETE INSERT SELECT UPDATE",
    "account_emailconfirmation": "DELETE INSERT SELECT UPDATE",
    "auth_group": "SELECT",
    "auth_group_permissions": "SELECT",
    "auth_permission": "SELECT",
    "billing_plan": "SELECT",
    "billing_planversion": "SELECT",
    "billing_trial": "",
    "django_admin_log": "",
    "django_content_type": "SELECT",
    "django_migrations": "SELECT",
    "django_session": "DELETE INSERT SELECT UPDATE",
    "generation_certificate": "SELECT",
    "generation_pool": "SELECT",
    "mfa_authenticator": "DELETE INSERT SELECT UPDATE",
    "generation_pooltime": "SELECT",
    "moderation_policy": "SELECT",
    "moderation_rejectedhash": "SELECT",
    "moderation_rule": "SELECT",
    "tenants_founding": "INSERT SELECT",
    "tenants_erasure": "",
    "tenants_platformsecret": "",
    "tenants_user": "INSERT SELECT UPDATE",
    "tenants_user_groups": "SELECT",
    "tenants_user_user_permissions": "SELECT",
    "usersessions_usersession": "DELETE INSERT SELECT UPDATE",
}

# Tenants' tables to which the web may do less than all.
RESTRICTED = {
    "billing_alert": "SELECT",
    "billing_entry": "INSERT SELECT",
    "billing_hold": "INSERT SELECT",  # and UPDATE of some columns, as the two below
    "billing_lot": "SELECT",
    "billing_planrequest": "DELETE INSERT SELECT",
    "billing_subscription": "SELECT",
    "billing_tally": "INSERT SELECT UPDATE",
    "billing_usage": "INSERT SELECT UPDATE",
    "billing_wallet": "SELECT",
    "generation_dayfigures": "SELECT",
    "generation_modelaccess": "SELECT",
    "moderation_case": "INSERT SELECT",
    "moderation_complaint": "INSERT SELECT",
    "moderation_pass": "SELECT",
    "moderation_verdict": "INSERT SELECT",
    "tenants_auditrecord": "INSERT SELECT",
    "tenants_revokedtoken": "INSERT SELECT",
    "tenants_datapolicy": "INSERT SELECT UPDATE",
    "tenants_keptanswer": "INSERT SELECT UPDATE",
    "tenants_keyrotation": "SELECT",
    "tenants_spenttoken": "INSERT SELECT",
    "tenants_tenant": "SELECT",  # and UPDATE of some columns
    "tenants_webhookevent": "INSERT SELECT",
}
# Columns that the web may change in tables that it may not change otherwise.
COLUMNS = {
    "tenants_tenant": ("name", "slug", "requires_two_factor", "allowed_origins"),
    "billing_wallet": ("available", "held"),
    "billing_lot": ("available", "pinned", "charged"),
    "billing_hold": ("remaining", "charged", "status", "ended_at"),
}
TENANT = "(NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid"
PERSON = "(NULLIF(current_setting('app.person'::text, true), ''::text))::uuid"
COLUMN = {"tenants_tenant": "id"}  # which column is the tenant, where it is not tenant_id
ALSO_VISIBLE = {
    "tenants_member": f"(user_id = {PERSON})",
    "generation_model": f"((tenant_id IS NULL) OR (tenant_id = {TENANT}))",
}
# What further narrows a policy.
NARROWED = {
    "billing_entry": (
        "RESTRICTIVE", "{easel_app}", "INSERT", None,
        "(((kind)::text = ANY ((ARRAY['hold'::character varying, 'charge'::character varying, "
        "'release'::character varying])::text[])) AND ((available_delta + held_delta) <= 0))",
    ),
}  # fmt: skip
# References from a tenant's row that cannot hold the tenant, and why. A trigger compares the two instead.
WITHOUT_TENANT = {
    ("generation_generation", "model_id"): "a model of everybody has no tenant",
    ("generation_cachedresult", "model_id"): "a model of everybody has no tenant",
    ("generation_modelaccess", "model_id"): "a model of everybody has no tenant",
    ("generation_routeoverride", "model_id"): "a model of everybody has no tenant",
    ("generation_model", "fallback_id"): "a model of everybody may stand in for a tenant's own",
}


def catalogue(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall())


@contextmanager
def tried(*statements: str) -> Iterator[None]:
    """The schema as it would be, had somebody written this; undone afterwards."""
    owner = connections["owner"]
    owner.set_autocommit(False)
    try:
        for statement in statements:
            with owner.cursor() as cursor:
                cursor.execute(statement)
        yield
    finally:
        owner.rollback()
        owner.set_autocommit(True)


def tables() -> dict[str, tuple[bool, bool]]:
    """Every table and whether row security is enabled and forced."""
    found = catalogue(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return {name: (enabled, forced) for name, enabled, forced in found}


def columns(table: str) -> set[str]:
    return {
        name
        for (name,) in catalogue(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", table
        )
    }


def policies(table: str) -> set[tuple[Any, ...]]:
    return set(
        catalogue(
            "SELECT permissive, roles::text, cmd, qual, with_check FROM pg_policies "
            "WHERE schemaname = 'public' AND tablename = %s",
            table,
        )
    )


def grants(table: str, role: str) -> str:
    found = catalogue(
        "SELECT privilege_type FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass "
        "AND grantee IN (0, %s::regrole) ORDER BY 1",
        table, role,
    )  # fmt: skip
    return " ".join(privilege for (privilege,) in found)


def guarded_by(condition: str) -> set[tuple[Any, ...]]:
    return {
        ("PERMISSIVE", "{easel_app}", "ALL", condition, condition),
        ("PERMISSIVE", "{easel_platform}", "ALL", "true", "true"),
    }


# What belongs to a person is seen as the person is: that of staff is not.
OF_PEOPLE = guarded_by("(user_id IN ( SELECT tenants_user.id\n   FROM tenants_user))")

# Global tables of which the customer web sees some rows only.
VEILED = {
    "account_emailaddress": OF_PEOPLE,
    "mfa_authenticator": OF_PEOPLE,
    "usersessions_usersession": OF_PEOPLE,
    "tenants_user": guarded_by("((NOT is_staff) AND (NOT is_superuser))"),
    "tenants_founding": guarded_by(f"(user_id = {PERSON})"),
    "django_session": {
        ("PERMISSIVE", "{easel_app,easel_platform}", "ALL", "(made_by = CURRENT_USER)", "(made_by = CURRENT_USER)"),
        ("PERMISSIVE", "{easel_platform}", "ALL", "(expire_date < now())", "(made_by = CURRENT_USER)"),
    },
}


def unprotected() -> dict[str, object]:
    """Tables that are neither global by the list above nor a tenant's with both halves of the wall."""
    wrong: dict[str, object] = {}
    for name, security in tables().items():
        if name in GLOBAL and name not in VEILED:
            continue
        own = guarded_by(f"({COLUMN.get(name, 'tenant_id')} = {TENANT})")
        expected = set(VEILED.get(name, own))
        if name in ALSO_VISIBLE:
            expected.add(("PERMISSIVE", "{easel_app}", "SELECT", ALSO_VISIBLE[name], None))
        if name in NARROWED:
            expected.add(NARROWED[name])
        if security != (True, True) or policies(name) != expected:
            wrong[name] = (security, policies(name) ^ expected)
    return wrong


def test_every_table_is_global_by_this_list_or_guarded_by_its_tenant() -> None:
    assert unprotected() == {}
    assert GLOBAL.keys() | COLUMN.keys() | ALSO_VISIBLE.keys() | RESTRICTED.keys() <= tables().keys()


@pytest.mark.parametrize(
    "forgotten",
    [
        "CREATE TABLE forgotten (id uuid)",
        "CREATE TABLE forgotten (id uuid, tenant_id uuid)",
        "ALTER TABLE tenants_apikey NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE tenants_apikey DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY wide ON tenants_apikey TO easel_app USING (true)",
        "CREATE POLICY wide ON tenants_apikey FOR SELECT USING (current_setting('app.scope', true) = 'platform')",
        "DROP POLICY web ON tenants_apikey",
        "ALTER POLICY web ON tenants_apikey WITH CHECK (true)",
        "ALTER POLICY platform ON tenants_apikey TO public",
        "ALTER POLICY web ON tenants_user USING (true)",
        "ALTER POLICY own ON django_session USING (true)",
    ],
)
def test_the_walk_notices(forgotten: str) -> None:
    with tried(forgotten):
        assert len(unprotected()) == 1


def test_a_tenants_column_is_never_empty() -> None:
    """A row without a tenant is everybody's or the platform's: those are named here."""
    nullable = catalogue(
        "SELECT table_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND column_name = 'tenant_id' AND is_nullable = 'YES'"
    )
    assert set(nullable) == {("generation_model",), ("tenants_auditrecord",)}


def test_the_web_may_do_to_each_table_what_is_written_here() -> None:
    everything = "DELETE INSERT SELECT UPDATE"
    expected = {name: GLOBAL.get(name, RESTRICTED.get(name, everything)) for name in tables()}
    assert {name: grants(name, "easel_app") for name in tables()} == expected


def test_single_columns_are_granted_only_here() -> None:
    granted = catalogue(
        "SELECT attrelid::regclass::text, attname, grantee::regrole::text, privilege_type "
        "FROM pg_attribute, aclexplode(attacl) WHERE attrelid IN (SELECT oid FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace)"
    )
    assert set(granted) == {
        (table, column, "easel_app", "UPDATE") for table, names in COLUMNS.items() for column in names
    }


@pytest.mark.parametrize("role", ["easel_app", "easel_platform"])
@pytest.mark.parametrize("table", ["billing_entry", "tenants_auditrecord"])
def test_what_was_written_down_for_good_is_not_rewritten_by_any_role(table: str, role: str) -> None:
    assert grants(table, role) == "INSERT SELECT"


def references_across_tenants() -> set[tuple[str, str]]:
    """Foreign keys between two tenants' tables whose constraint does not pair tenant with tenant."""
    found = catalogue(
        "SELECT c.conrelid::regclass::text, c.confrelid::regclass::text, "
        "       array_agg(a.attname || '=' || b.attname) "
        "FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k(child, parent) "
        "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.child "
        "JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.parent "
        "WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace GROUP BY c.oid"
    )
    guarded = {(child, pair.partition("=")[0]) for child, _, pairs in found if "tenant_id=tenant_id" in pairs
               for pair in pairs}  # fmt: skip
    plain = {(child, pairs[0].partition("=")[0]) for child, parent, pairs in found
             if len(pairs) == 1 and {child, parent}.isdisjoint(GLOBAL) and parent != "tenants_tenant"}  # fmt: skip
    return (plain | declared_references()) - guarded


def declared_references() -> set[tuple[str, str]]:
    """What the models call a foreign key between tenants' tables, also where the database has none by their word."""
    return {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey)
        and {model._meta.db_table, field.remote_field.model._meta.db_table}.isdisjoint(GLOBAL)
        and field.remote_field.model._meta.db_table != "tenants_tenant"
    }


def test_a_reference_between_tenants_tables_holds_the_tenant() -> None:
    assert references_across_tenants() == WITHOUT_TENANT.keys()


def test_each_of_the_others_is_compared_by_a_trigger() -> None:
    found = catalogue(
        "SELECT tgrelid::regclass::text, split_part(encode(tgargs, 'escape'), chr(92), 1), tgname FROM pg_trigger "
        "JOIN pg_proc p ON p.oid = tgfoid WHERE proname = 'refuse_foreign_model' AND tgenabled = 'O'"
    )
    for when in ("own_model_added", "own_model_named"):
        assert {(table, column) for table, column, name in found if name == when} == WITHOUT_TENANT.keys()


def test_the_walk_notices_a_reference_without_the_tenant() -> None:
    with tried("ALTER TABLE generation_image DROP CONSTRAINT generation_image_generation_id_same_tenant"):
        assert ("generation_image", "generation_id") in references_across_tenants()
    with tried("ALTER TABLE generation_flow ADD COLUMN key_id uuid REFERENCES tenants_apikey (id)"):
        assert ("generation_flow", "key_id") in references_across_tenants()


@pytest.mark.parametrize("role", ["easel_app", "easel_platform", "easel_owner"])
def test_the_roles_of_processes_are_nothing_more(role: str) -> None:
    (attributes,) = catalogue(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = %s",
        role,
    )
    assert not any(attributes)


def test_the_webs_role_owns_nothing_and_belongs_to_no_other_role() -> None:
    assert catalogue("SELECT relname FROM pg_class WHERE relowner = 'easel_app'::regrole") == []
    assert catalogue("SELECT proname FROM pg_proc WHERE proowner = 'easel_app'::regrole") == []
    assert catalogue("SELECT roleid::regrole FROM pg_auth_members WHERE member = 'easel_app'::regrole") == []


@pytest.mark.parametrize("role", ["easel_app", "easel_platform", "public"])
def test_nobody_but_the_owner_creates_anything(role: str) -> None:
    ((schema, database),) = catalogue(
        "SELECT has_schema_privilege(%s, 'public', 'CREATE'), has_database_privilege(%s, current_database(), 'CREATE')",
        role, role,
    )  # fmt: skip
    assert (schema, database) == (False, False)


def views_that_bypass() -> list[tuple[Any, ...]]:
    return catalogue(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND (relkind IN ('m', 'f') "
        "OR relkind = 'v' AND NOT coalesce(reloptions, '{}') && '{security_invoker=true,security_invoker=on}')"
    )


def test_no_view_looks_past_row_security() -> None:
    assert views_that_bypass() == []
    with tried("CREATE VIEW wide AS SELECT 1"):
        assert views_that_bypass() == [("wide",)]
    with tried("CREATE MATERIALIZED VIEW wide AS SELECT 1"):
        assert views_that_bypass() == [("wide",)]
    with tried("CREATE VIEW narrow WITH (security_invoker = true) AS SELECT 1"):
        assert views_that_bypass() == []


def test_two_functions_act_with_more_rights_than_their_caller_and_few_may_call_them() -> None:
    """A key by its public id, and sums over a pool's queue."""
    definers = catalogue(
        "SELECT proname, proowner::regrole::text, proconfig FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY proname"
    )
    narrow = ["search_path=public, pg_temp"]
    assert definers == [("auth_key", "easel_platform", narrow), ("queue_ahead", "easel_platform", narrow)]
    for name, _, _ in definers:
        callers = catalogue(
            "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END "
            "FROM pg_proc, aclexplode(proacl) WHERE proname = %s",
            name,
        )
        assert {caller for (caller,) in callers} == {"easel_app", "easel_platform"}


def test_the_webs_environment_holds_no_password_but_its_own(stack: Stack) -> None:
    environment = stack.environment("web")
    said = "\n".join(environment.values())
    for role in ("easel_platform", "easel_owner", "easel_backup", "postgres:"):
        assert f"//{role}" not in said
    for password in (stack.credentials.platform, stack.credentials.owner, stack.credentials.backup):
        assert password not in said
    assert stack.credentials.app in environment["EASEL_DATABASE_URL"]
    assert stack.credentials.platform in "\n".join(stack.environment("worker").values())
