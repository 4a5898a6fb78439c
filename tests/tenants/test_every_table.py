"""Every tenant's table by raw SQL, without a scope and in another's; every model by the worker's and clock's role."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from easel.database import platform_role
from easel.embedded.stack import Stack
from tenants.scope import ScopeMismatch, tenant_scope
from tests.cast import Customer
from tests.tenants import sql_walk, walks


@pytest.fixture
def rich(ada: Customer) -> Customer:
    """Ada with a row in as many tables as the walks can fill."""
    walks.make_world(ada)
    return ada


@pytest.mark.usefixtures("rich")
def test_without_a_scope_there_is_nothing_in_any_table() -> None:
    assert len(sql_walk.tables()) > 20
    assert sql_walk.nothing_without_a_scope() == []


def test_in_a_scope_there_is_nothing_of_another_tenant_in_any_table(rich: Customer, bob: Customer) -> None:
    before = walks.state_of(rich.id)
    assert sql_walk.nothing_of(rich.id, in_scope_of=bob.id) == []
    assert walks.state_of(rich.id) == before


@pytest.mark.usefixtures("rich")
def test_every_model_keeps_to_its_scope_in_workers_and_clock_too(bob: Customer) -> None:
    assert sql_walk.managers_across_tenants(bob.id) == []


def test_a_worker_cannot_slip_from_one_tenants_scope_into_anothers(ada: Customer, bob: Customer) -> None:
    with platform_role(), tenant_scope(ada.id), pytest.raises(ScopeMismatch), tenant_scope(bob.id):
        pass


@pytest.fixture
def web(stack: Stack) -> Iterator[Stack]:
    stack.start("web")
    yield stack
    stack.halt("web")


def test_the_running_web_process_holds_no_other_roles_password(web: Stack) -> None:
    master = web.pid("web")
    assert master is not None
    family = [master, *_children(master)]
    assert len(family) > 1
    for pid in family:
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        assert web.credentials.app in environment or pid != master
        for password in (web.credentials.platform, web.credentials.owner, web.credentials.backup):
            assert password not in environment


def test_code_in_the_web_process_that_wants_the_platform_role_finds_no_way(stack: Stack) -> None:
    code = (
        "import django; django.setup()\n"
        "from easel.database import platform_role, rows\n"
        "with platform_role(): print(rows('SELECT 1'))\n"
    )
    given = stack.environment("web")
    given.pop("PROMETHEUS_MULTIPROC_DIR", None)  # made by the process that serves, which this is not
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ConnectionDoesNotExist" in done.stderr


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for each in map(int, listed) for child in (each, *_children(each))]
