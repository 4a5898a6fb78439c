"""`make up` prepares the demo again and again, and what its file says keeps working."""

import json
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from billing.models import Wallet
from easel.database import platform_role
from tenants import demo, keys
from tenants.demo import Demo
from tenants.models import APIKey, Member, Tenant, User
from tests.tenants.door import bearer, sign, soon


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "var" / "demo.json"


@pytest.fixture(autouse=True)
def _quick_hashes() -> Iterator[None]:
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


def prepare(file: Path) -> Demo:
    with platform_role():
        return demo.prepare(file, base_url="http://localhost:1", staff_url="http://localhost:2")


def works(prepared: Demo) -> None:
    keys.forget_all()
    assert bearer(sign({"exp": soon()}, prepared.api_secret, kid=prepared.api_key)).status_code == 200
    with platform_role():
        console = User.objects.get(email=prepared.console_email)
        staff = User.objects.get(email=prepared.staff_email)
    assert console.check_password(prepared.console_password)
    assert staff.check_password(prepared.staff_password)
    assert (console.is_staff, console.is_superuser) == (False, False)
    assert (staff.is_staff, staff.is_superuser) == (True, True)


def test_the_file_says_all_that_a_newcomer_needs(file: Path) -> None:
    prepared = prepare(file)
    said = json.loads(file.read_text())
    assert said == asdict(prepared)
    assert said["access_token_url"] == "http://localhost:1/oauth/token"
    assert said["console_url"].startswith("http://localhost:1/")
    assert said["staff_url"].startswith("http://localhost:2/")
    works(prepared)


def test_preparing_again_changes_nothing(file: Path) -> None:
    first = prepare(file)
    with platform_role():
        before = (APIKey.objects.filter(tenant__slug="demo").count(), Wallet.objects.get(tenant__slug="demo").available)
    assert prepare(file) == first
    works(first)
    with platform_role():
        tenant = Tenant.objects.get(slug="demo")
        after = (APIKey.objects.filter(tenant=tenant).count(), Wallet.objects.get(tenant=tenant).available)
        assert Member.objects.filter(tenant=tenant, user__email=first.console_email, role="owner").count() == 1
    assert after == before


def test_a_lost_file_is_written_anew_and_works(file: Path) -> None:
    first = prepare(file)
    file.unlink()
    second = prepare(file)
    assert second.api_key != first.api_key
    assert second.console_password != first.console_password
    works(second)


def test_a_revoked_key_is_replaced(file: Path) -> None:
    first = prepare(file)
    with platform_role():
        APIKey.objects.filter(public_id=first.api_key).update(revoked_at=timezone.now())
    keys.forget_all()
    second = prepare(file)
    assert second.api_key != first.api_key
    works(second)


@pytest.mark.parametrize("field", ["api_secret", "console_password", "staff_password"])
def test_a_secret_that_no_longer_fits_is_replaced(file: Path, field: str) -> None:
    first = prepare(file)
    file.write_text(json.dumps(asdict(first) | {field: "wrong"}))
    works(prepare(file))


def test_an_older_demo_key_gets_the_scopes_of_today(file: Path) -> None:
    first = prepare(file)
    with platform_role():
        APIKey.objects.filter(public_id=first.api_key).update(scopes=[])
    keys.forget_all()
    assert prepare(file).api_key == first.api_key
    works(first)


def test_nobody_else_can_read_the_file(file: Path) -> None:
    prepare(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    prepare(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_the_command_prepares_the_demo(file: Path) -> None:
    call_command("demo", base_url="http://a", staff_url="http://b", out=file, verbosity=0)
    works(Demo(**json.loads(file.read_text())))
