"""What an address and its knobs make of the database's settings."""

import os
import subprocess
import sys

import pytest

from easel.embedded.stack import Stack
from easel.embedded.var import ROOT
from easel.settings import environment

ADDRESS = "postgresql://one:p%40ss@db:6543/easel?sslmode=require"


def options(**given: object) -> dict[str, object]:
    config = environment.database("EASEL_DATABASE_URL", **given)  # type: ignore[arg-type]
    assert config is not None
    found = config["OPTIONS"]
    assert isinstance(found, dict)
    return found


def test_a_pool_grows_as_needed_or_is_whole_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", ADDRESS)
    sizes = [
        [options(pool_size=5, fixed=fixed)["pool"][word] for word in ("min_size", "max_size")]  # type: ignore[index]
        for fixed in (False, True)
    ]
    assert sizes == [[1, 5], [5, 5]]
    assert "pool" not in options(pool_size=0)


def test_postgres_is_told_whose_connection_it_is_unless_the_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", ADDRESS)
    assert options(pool_size=1, process="clock")["application_name"] == "easel clock"
    monkeypatch.setenv("EASEL_DATABASE_URL", f"{ADDRESS}&application_name=mine")
    assert options(pool_size=1, process="clock")["application_name"] == "mine"


def test_a_fixed_pool_has_all_of_its_connections_at_once(stack: Stack) -> None:
    program = """
import django; django.setup()
from easel.database import rows, platform_role
from django.db import connections
with platform_role():
    rows("SELECT 1")
    connections["platform"].close()
    connections["platform"].pool.wait(60)
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool-test'"
    print(rows(count)[0][0])
"""
    given = stack.environment("manage")
    address = given["EASEL_PLATFORM_DATABASE_URL"] + "?application_name=pool-test"
    knobs = {"EASEL_DATABASE_POOL": "3", "EASEL_DATABASE_POOL_FIXED": "1", "EASEL_PLATFORM_DATABASE_URL": address}
    environment_ = {**given, **knobs, "DJANGO_SETTINGS_MODULE": "easel.settings.test"}
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", program], env={**environment_, "PYTHONPATH": path}, cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["3"], done.stderr
