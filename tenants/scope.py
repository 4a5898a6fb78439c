"""The tenant is ambient and mandatory: `tenant_scope` is one unit of work of one tenant.

Inside it the transaction carries `app.tenant`, which the row-level-security policies compare, and managers of tenant
models filter by it. Outside it they raise `NoScope` (the platform role aside): the database is the second wall.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from uuid import UUID

from django.db import models

from easel.database import Question, answers, atomic, connection, on_platform

Row = TypeVar("Row", bound=models.Model)

_tenant: ContextVar[UUID | None] = ContextVar("tenant", default=None)
_person: ContextVar[UUID | None] = ContextVar("person", default=None)


class NoScope(RuntimeError):
    """A tenant's table was asked without saying whose."""


class ScopeMismatch(RuntimeError):
    """A scope of one tenant was opened inside another's."""


def current_tenant() -> UUID | None:
    return _tenant.get()


def current_person() -> UUID | None:
    return _person.get()


@contextmanager
def tenant_scope(tenant_id: UUID) -> Iterator[None]:
    """A short transaction that sees one tenant. Never hold it while a device works, a client waits, a body streams."""
    with tenant_scope_asking(tenant_id):
        yield


@contextmanager
def tenant_scope_asking(tenant_id: UUID, *questions: Question[Any]) -> Iterator[tuple[Any, ...]]:
    """The same, with the answers to its first questions: they are asked in the round trip that opens it."""
    if _tenant.get() not in {None, tenant_id}:
        raise ScopeMismatch("A tenant's scope cannot be opened inside another tenant's.")
    with _transaction_for(tenant_id, _tenant, "app.tenant", questions) as answered:
        yield answered


@contextmanager
def person_scope(user_id: UUID) -> Iterator[None]:
    """A short transaction in which a signed-in person sees their own memberships, whatever the tenant."""
    with _transaction_for(user_id, _person, "app.person"):
        yield


@contextmanager
def _transaction_for(
    who: UUID, variable: ContextVar[UUID | None], setting: str, questions: Sequence[Question[Any]] = ()
) -> Iterator[tuple[Any, ...]]:
    outer = variable.get()
    inside_transaction = connection().in_atomic_block
    with atomic():
        answered = _opened(_announcement(setting, who), questions)
        token = variable.set(who)
        try:
            yield answered
        finally:
            variable.reset(token)
        # COMMIT and ROLLBACK end a transaction-local setting. Inside somebody else's transaction it would live on.
        if inside_transaction:
            _announcement(setting, outer).ask()


def _opened(announcement: Question[object], questions: Sequence[Question[Any]]) -> tuple[Any, ...]:
    if not questions:  # for one statement a pipeline takes longer to set up than the round trip of BEGIN that it saves
        announcement.ask()
        return ()
    return answers(announcement, *questions)[1:]


def _announcement(setting: str, who: UUID | None) -> Question[object]:
    return Question("SELECT set_config(%s, %s, true)", [setting, str(who or "")], list)


class TenantManager(models.Manager[Row]):
    """Rows of the current tenant; every tenant's for the platform role; an error otherwise."""

    def get_queryset(self) -> models.QuerySet[Row]:
        tenant = current_tenant()
        if tenant is not None:
            return super().get_queryset().filter(tenant_id=tenant)
        if on_platform():
            return super().get_queryset()
        raise NoScope(f"{self.model.__name__} was asked outside tenant_scope().")
