"""Raw SQL under the customer web's role against every tenant's table there is, as after a break-in."""

from collections.abc import Callable
from uuid import UUID

from django.apps import apps
from django.db import DatabaseError, connections

from easel.database import atomic, changed, on_platform, platform_role, rows
from easel.identifiers import new_id
from tenants.models import TenantRow
from tenants.scope import NoScope, tenant_scope

Wrong = list[str]


def tables() -> list[str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' "
                       "AND table_schema = 'public' ORDER BY 1")  # fmt: skip
        return [name for (name,) in cursor.fetchall()]


def nothing_without_a_scope() -> Wrong:
    """No row is seen or changed, none can be inserted. What belongs to everybody (tenant_id empty) may be seen."""
    wrong = []
    for table in tables():
        if seen := _count(f"SELECT count(*) FROM {table} WHERE tenant_id IS NOT NULL"):
            wrong.append(f"{table}: {seen} rows without a scope")
        wrong += _writes(table, new_id())
    return wrong


def nothing_of(victim: UUID, *, in_scope_of: UUID) -> Wrong:
    wrong = []
    for table in tables():
        with tenant_scope(in_scope_of):
            if seen := _count(f"SELECT count(*) FROM {table} WHERE tenant_id = '{victim}'"):
                wrong.append(f"{table}: {seen} foreign rows")
        wrong += _writes(table, victim, scope=in_scope_of)
    return wrong


def managers_across_tenants(own: UUID) -> Wrong:
    """The first wall, for the roles that see everything: in a scope, each model's manager keeps to that tenant, under
    the platform role of workers and clock, too. Outside one, the web's raises."""
    wrong = []
    for model in _models():
        with platform_role(), tenant_scope(own):
            assert on_platform()
            if model.objects.exclude(tenant_id=own).exists():
                wrong.append(f"{model.__name__}: a worker in one tenant's scope sees another's")
        try:
            list(model.objects.all()[:1])
            wrong.append(f"{model.__name__}: asked without a scope, it answers")
        except NoScope:
            continue
    return wrong


def _models() -> list[type[TenantRow]]:
    return [model for model in apps.get_models() if issubclass(model, TenantRow)]


def _writes(table: str, victim: UUID, *, scope: UUID | None = None) -> Wrong:
    attempts: dict[str, Callable[[], int]] = {
        "update": lambda: changed(f"UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = '{victim}'"),
        "delete": lambda: changed(f"DELETE FROM {table} WHERE tenant_id = '{victim}'"),
        "insert": lambda: changed(f"INSERT INTO {table} (id, tenant_id) VALUES ('{new_id()}', '{victim}')"),
    }
    wrong = []
    for verb, attempt in attempts.items():
        try:
            with tenant_scope(scope) if scope else atomic():
                touched = attempt()
        except DatabaseError as error:
            # 42501: by the grants, or by row security, which is asked before any constraint.
            if getattr(error.__cause__, "sqlstate", "") != "42501":
                wrong.append(f"{table}: {verb} was stopped by something else: {error}")
            continue
        if touched or verb == "insert":
            wrong.append(f"{table}: {verb} of {touched}")
    return wrong


def _count(sql: str) -> int:
    ((found,),) = rows(sql)
    return int(found)
