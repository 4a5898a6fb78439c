"""API keys: made once, shown once, found quickly, and forgotten quickly when revoked."""

import re
from types import SimpleNamespace

import pytest
from django.db import ProgrammingError
from django.utils import timezone

from easel.crypto import TamperedSeal
from easel.database import platform_role, rows
from tenants import keys
from tenants.models import APIKey
from tenants.scope import tenant_scope
from tests.cast import Customer


class Clock:
    """A monotonic clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the keys' memory, which starts empty."""
    keys.forget_all()
    clock = Clock()
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=clock.monotonic, time=clock.monotonic))
    return clock


def revoke(customer: Customer) -> None:
    with platform_role():
        APIKey.objects.filter(id=customer.key.id).update(revoked_at=timezone.now())


def test_a_key_is_found_with_all_that_a_request_needs(ada: Customer) -> None:
    record = keys.find(ada.key.public_id)
    assert record is not None
    assert (record.key_id, record.tenant_id, record.mode) == (ada.key.id, ada.id, "live")
    assert record.scopes == frozenset(keys.SCOPES)
    assert record.secret == ada.secret.encode()
    assert record.data_key == keys.tenant_data_key(ada.tenant)
    assert (record.revoked_at, record.expires_at, record.tenant_frozen_at) == (None, None, None)


def test_ids_and_secrets_survive_a_double_click_and_a_shell(ada: Customer) -> None:
    assert keys.PUBLIC_ID.fullmatch(ada.key.public_id)
    assert re.fullmatch(r"es_[A-Za-z0-9]{43}", ada.secret)


def test_the_row_does_not_hold_the_secret_in_clear(ada: Customer) -> None:
    with tenant_scope(ada.id):
        ((row,),) = rows("SELECT convert_to(k::text, 'UTF8') FROM tenants_apikey k")
        ((sealed,),) = rows("SELECT secret_sealed FROM tenants_apikey")
    for stored in (bytes(row), bytes(sealed)):
        assert ada.secret.encode() not in stored
        assert ada.secret.encode().hex().encode() not in stored


def test_a_sealed_secret_opens_in_its_own_row_only(ada: Customer) -> None:
    with tenant_scope(ada.id):
        other, _ = keys.mint(ada.tenant, name="other", scopes=["generations:read"])
        APIKey.objects.filter(id=other.id).update(secret_sealed=ada.key.secret_sealed)
    record = keys.find(other.public_id)
    assert record is not None
    with pytest.raises(TamperedSeal):
        _ = record.secret


def test_a_tenant_mints_keys_in_its_own_scope_only(ada: Customer, bob: Customer) -> None:
    with tenant_scope(ada.id):
        key, _ = keys.mint(ada.tenant, name="mine", scopes=["generations:read"])
    record = keys.find(key.public_id)
    assert record is not None
    assert record.tenant_id == ada.id
    assert record.scopes == {"generations:read"}
    with pytest.raises(ProgrammingError, match="row-level security"), tenant_scope(ada.id):
        keys.mint(bob.tenant, name="theirs", scopes=["generations:read"])


def test_a_scope_that_does_not_exist_cannot_be_given(ada: Customer) -> None:
    with tenant_scope(ada.id), pytest.raises(ValueError, match="everything"):
        keys.mint(ada.tenant, name="x", scopes=["everything"])


def test_an_unknown_key_is_not_found_and_its_absence_is_not_remembered(clock: Clock, ada: Customer) -> None:
    unborn = "ek_live_" + "0" * 20
    assert keys.find(unborn) is None
    with tenant_scope(ada.id):
        APIKey.objects.filter(id=ada.key.id).update(public_id=f"{unborn[:-8]}{ada.id.hex[-8:]}")
    assert keys.find(f"{unborn[:-8]}{ada.id.hex[-8:]}") is not None


def test_a_revoked_key_is_known_as_revoked_within_five_seconds(clock: Clock, ada: Customer) -> None:
    keys.find(ada.key.public_id)
    revoke(ada)
    clock.now += 5.0
    record = keys.find(ada.key.public_id)
    assert record is not None
    assert record.revoked_at is not None


def test_a_key_is_remembered_for_three_seconds_from_before_it_was_read(clock: Clock, ada: Customer) -> None:
    first = keys.find(ada.key.public_id)
    revoke(ada)
    clock.now += 2.9
    assert keys.find(ada.key.public_id) is first
    clock.now += 0.2
    assert keys.find(ada.key.public_id) is not first


def test_what_was_read_from_memory_does_not_stay_longer_for_it(clock: Clock, ada: Customer) -> None:
    first = keys.find(ada.key.public_id)
    for _ in range(4):
        clock.now += 1.0
        found = keys.find(ada.key.public_id)
    assert found is not first


def test_the_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch, ada: Customer, bob: Customer) -> None:
    monkeypatch.setattr(keys, "REMEMBER_AT_MOST", 1)
    first = keys.find(ada.key.public_id)
    keys.find(bob.key.public_id)
    assert keys.find(ada.key.public_id) is not first
