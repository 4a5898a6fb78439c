"""Owners read and export their audit log; whoever changes or removes a record behind our back is noticed."""

import csv
import hashlib
import io
import json
from typing import Any

import pytest
from django.db import connections
from django.db.utils import DatabaseError

from easel.database import platform_role, rows
from tenants import audit, audit_export
from tenants.audit import Actor
from tenants.scope import tenant_scope
from tests.cast import Customer
from tests.tenants.people import person, signed_in

EVE = '=HYPERLINK("https://evil.example")'


@pytest.fixture
def told(ada: Customer, bob: Customer) -> Customer:
    """Ada's log holds three records, and Bob's one."""
    for customer, actions in ((ada, ("key.created", "member.invited", "key.revoked")), (bob, ("key.created",))):
        with tenant_scope(customer.id):
            for action in actions:
                actor = Actor(kind="person", name=EVE, address="192.0.2.7")
                audit.record(
                    action, tenant_id=customer.id, object_kind="key", object_id=customer.key.public_id, actor=actor,
                    details={"name": "ключ, \"quoted\"\nand a line"},
                )  # fmt: skip
    return ada


def export(customer: Customer, form: str) -> str:
    answer = customer.client().get(f"/v1/audit/export?as={form}")
    assert answer.status_code == 200
    assert f'.{form}"' in answer["Content-Disposition"]
    assert answer["Cache-Control"] == "no-store"
    return b"".join(answer.streaming_content).decode()


def test_what_is_too_long_for_a_record_is_cut_and_undoes_nothing(ada: Customer) -> None:
    long = "x" * 500
    with tenant_scope(ada.id):
        actor = Actor(kind="person", name=long, address=long)
        audit.record(long, tenant_id=ada.id, object_kind=long, object_id=long, actor=actor, details={"email": long})
        assert audit.first_break(ada.id) is None
    (record,) = audit_export.newest(ada.id, limit=1)
    assert record["object_id"] == "x" * 79 + "…"
    assert record["actor"] == "x" * 253 + "…"
    assert record["details"] == {"email": long}


def test_an_export_as_json_is_the_whole_chain_and_can_be_checked_by_anybody(told: Customer) -> None:
    records = json.loads(export(told, "json"))
    assert [record["action"] for record in records][:3] == ["key.created", "member.invited", "key.revoked"]
    assert records[-1]["action"] == "audit.exported", "the export itself is on record"
    assert [record["sequence"] for record in records] == list(range(1, len(records) + 1))
    previous = bytes(32).hex()
    for record in records:
        assert record["previous"] == previous
        previous = record["digest"]
    first = records[0]
    assert (first["actor"], first["address"], first["object_id"]) == (EVE, "192.0.2.7", told.key.public_id)


def test_an_export_as_csv_opens_in_a_spreadsheet_without_running_anything(told: Customer) -> None:
    found = list(csv.DictReader(io.StringIO(export(told, "csv"))))
    assert tuple(found[0]) == audit_export.COLUMNS
    assert found[0]["actor"] == f"'{EVE}"
    assert json.loads(found[0]["details"]) == {"name": 'ключ, "quoted"\nand a line'}
    for row in found:
        assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_an_export_holds_nothing_of_another_tenant(told: Customer, bob: Customer) -> None:
    for form in ("csv", "json"):
        assert bob.key.public_id not in export(told, form)
        assert told.key.public_id not in export(bob, form)


def test_a_long_log_is_exported_in_parts_and_whole(told: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_export, "CHUNK", 2)
    assert len(json.loads(export(told, "json"))) == 4


def test_a_page_goes_on_where_the_one_before_ended(told: Customer) -> None:
    seen: list[int] = []
    before = ""
    while True:
        page = told.client().get(f"/v1/audit?limit=2{before}").json()
        seen += [record["sequence"] for record in page["data"]]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
    assert seen == [3, 2, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "before=-1", "before=1e3", "other=1"])
def test_a_bad_query_names_its_parameter(query: str, ada: Customer) -> None:
    answer = ada.client().get(f"/v1/audit?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, query.partition("=")[0])


def test_owners_read_it_in_the_console_and_nobody_else(told: Customer) -> None:
    owner, admin = (signed_in(person(told.tenant, role)) for role in ("owner", "admin"))
    page = owner.get("/console/audit")
    assert "member.invited" in page.content.decode()
    moment = audit_export.newest(told.id, limit=1)[0]["at"]
    assert f"{moment[:10]} {moment[11:19]}" in page.content.decode()
    assert b"".join(owner.get("/console/audit/export.csv")).decode().count(told.key.public_id) == 3
    for path in ("/console/audit", "/console/audit/export.csv"):
        assert admin.get(path).status_code == 403


def test_no_role_changes_or_removes_a_record(told: Customer) -> None:
    for sql in ("UPDATE tenants_auditrecord SET actor = 'x'", "DELETE FROM tenants_auditrecord"):
        with pytest.raises(DatabaseError, match="permission denied"), tenant_scope(told.id):
            rows(sql)
        with platform_role(), pytest.raises(DatabaseError, match=r"permission denied|append-only"):
            rows(sql)


def test_a_record_that_was_changed_or_removed_behind_our_back_shows(told: Customer) -> None:
    """By somebody who is master of the database and switches the trigger off."""

    def verified() -> dict[str, Any]:
        answer: dict[str, Any] = told.client().get("/v1/audit/verification").json()
        return answer

    assert (verified()["intact"], verified()["records"]) == (True, 3)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_auditrecord NO FORCE ROW LEVEL SECURITY")
        cursor.execute("ALTER TABLE tenants_auditrecord DISABLE TRIGGER append_only")
        try:
            change = "UPDATE tenants_auditrecord SET actor = %s WHERE tenant_id = %s AND sequence = 2"
            cursor.execute(change, ["somebody else", told.id])
            assert (verified()["intact"], verified()["broken_at"]) == (False, 2)
            cursor.execute(change, [EVE, told.id])
            assert verified()["intact"]
            # The digest is made anew, too: then the next record's does not fit.
            cursor.execute(
                "UPDATE tenants_auditrecord SET digest = %s WHERE tenant_id = %s AND sequence = 2",
                [hashlib.sha256(b"x").digest(), told.id],
            )
            assert verified()["broken_at"] == 2
            cursor.execute("DELETE FROM tenants_auditrecord WHERE tenant_id = %s AND sequence = 2", [told.id])
            assert verified()["broken_at"] == 2
        finally:
            cursor.execute("DELETE FROM tenants_auditrecord WHERE tenant_id = %s", [told.id])
            cursor.execute("ALTER TABLE tenants_auditrecord ENABLE TRIGGER append_only")
            cursor.execute("ALTER TABLE tenants_auditrecord FORCE ROW LEVEL SECURITY")
