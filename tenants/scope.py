"""The tenant is ambient and mandatory: `tenant_scope` is one unit of work of one tenant.

Inside it the transaction carries `app.tenant`, which the row-level-security policies compare, and managers of tenant
models filter by it. Outside it they raise `NoScope` (the platform role aside): the database is the second wall.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar
from uuid import UUID

from django.db import models

from easel.database import atomic, connection, on_platform, rows

Row = TypeVar("Row", bound=models.Model)

_tenant: ContextVar[UUID | None] = ContextVar("tenant", default=None)


class NoScope(RuntimeError):
    """A tenant's table was asked without saying whose."""


class ScopeMismatch(RuntimeError):
    """A scope of one tenant was opened inside another's."""


def current_tenant() -> UUID | None:
    return _tenant.get()


@contextmanager
def tenant_scope(tenant_id: UUID) -> Iterator[None]:
    """A short transaction that sees one tenant. Never hold it while a device works, a client waits or a body streams."""
    outer = _tenant.get()
    if outer is not None and outer != tenant_id:
        raise ScopeMismatch("A tenant's scope cannot be opened inside another tenant's.")
    inside_transaction = connection().in_atomic_block
    with atomic():
        if outer is None:
            _announce("app.tenant", str(tenant_id))
        token = _tenant.set(tenant_id)
        try:
            yield
        finally:
            _tenant.reset(token)
        # COMMIT ends a transaction-local setting. Inside somebody else's transaction it would live on.
        if outer is None and inside_transaction:
            _announce("app.tenant", "")


@contextmanager
def person_scope(user_id: UUID) -> Iterator[None]:
    """A short transaction in which a signed-in person sees their own memberships, whatever the tenant."""
    inside_transaction = connection().in_atomic_block
    with atomic():
        _announce("app.person", str(user_id))
        yield
        if inside_transaction:
            _announce("app.person", "")


def _announce(setting: str, value: str) -> None:
    rows("SELECT set_config(%s, %s, true)", [setting, value])


class TenantManager(models.Manager[Row]):
    """Rows of the current tenant; every tenant's for the platform role; an error otherwise."""

    def get_queryset(self) -> models.QuerySet[Row]:
        tenant = current_tenant()
        if tenant is not None:
            return super().get_queryset().filter(tenant_id=tenant)
        if on_platform():
            return super().get_queryset()
        raise NoScope(f"{self.model.__name__} was asked outside tenant_scope().")
