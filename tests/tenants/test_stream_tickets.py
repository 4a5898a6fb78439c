"""A stream ticket opens one generation's events for two minutes, for whoever its key would let in, and nothing else."""

import time
from datetime import UTC, datetime
from unittest.mock import patch
from uuid import UUID

import pytest
from django.core import signing

from easel.database import platform_role
from easel.identifiers import new_id
from easel.problems import Problem
from tenants import keys, tickets
from tenants.models import APIKey, Tenant
from tests.cast import Customer, make_customer
from tests.generation.conftest import Workshop, tiny_folder, workshop  # noqa: F401  fixtures

HERE = "192.0.2.7"


def ticket_for(customer: Customer, generation_id: UUID) -> str:
    record = keys.find(customer.key.public_id)
    assert record is not None
    from tenants.tokens import Principal

    return tickets.issue(Principal(customer.id, record, record.scopes), generation_id)


def set_key(customer: Customer, **fields: object) -> None:
    with platform_role():
        APIKey.objects.filter(id=customer.key.id).update(**fields)
    keys.forget_all()


def refused(word: str, generation_id: UUID, *, address: str = HERE) -> str:
    with pytest.raises(Problem) as caught:
        tickets.redeem(word, generation_id=generation_id, address=address)
    return caught.value.code


def test_it_names_its_tenant_and_generation(ada: Customer) -> None:
    generation_id = new_id()
    ticket = tickets.redeem(ticket_for(ada, generation_id), generation_id=generation_id, address=HERE)
    assert (ticket.tenant_id, ticket.generation_id) == (ada.id, generation_id)


def test_another_generation_a_forged_a_cut_and_another_kind_of_word_open_nothing(ada: Customer) -> None:
    generation_id = new_id()
    word = ticket_for(ada, generation_id)
    assert refused(word, new_id()) == "token_invalid"
    for bad in (
        word[:-1] + ("A" if word[-1] != "A" else "B"), word[3:], "", "x", ":" * 9, "\0", "é" * 40, word * 40,
        signing.dumps([ada.key.public_id, generation_id.hex], salt="easel.media"),
        signing.dumps({"key": 1}, salt="easel.ticket"),
        signing.dumps([None, generation_id.hex], salt="easel.ticket")[:-2],
    ):  # fmt: skip
        assert refused(bad, generation_id) == "token_invalid", bad


def test_it_ends_after_two_minutes(ada: Customer) -> None:
    generation_id = new_id()
    word = ticket_for(ada, generation_id)
    later = time.time() + tickets.TICKET_SECONDS + 2
    with patch.object(signing.time, "time", lambda: later):
        assert refused(word, generation_id) == "token_expired"


def test_it_ends_with_its_key_and_its_tenant(ada: Customer, bob: Customer) -> None:
    generation_id = new_id()
    words = {customer: ticket_for(customer, generation_id) for customer in (ada, bob)}
    set_key(ada, revoked_at=datetime.now(UTC))
    assert refused(words[ada], generation_id) == "key_revoked"
    with platform_role():
        Tenant.objects.filter(id=bob.id).update(frozen_at=datetime.now(UTC))
    keys.forget_all()
    assert refused(words[bob], generation_id) == "tenant_suspended"


def test_it_ends_with_a_rotation_without_overlap(ada: Customer) -> None:
    generation_id = new_id()
    word = ticket_for(ada, generation_id)
    set_key(ada, tokens_not_before=datetime.now(UTC))
    assert refused(word, generation_id) == "token_invalid"


def test_it_keeps_to_the_keys_networks_and_scopes(ada: Customer) -> None:
    generation_id = new_id()
    word = ticket_for(ada, generation_id)
    set_key(ada, allowed_networks=["198.51.100.0/24"])
    assert refused(word, generation_id) == "address_not_allowed"
    assert tickets.redeem(word, generation_id=generation_id, address="198.51.100.9").tenant_id == ada.id
    set_key(ada, allowed_networks=[], scopes=["generations:write"])
    assert refused(word, generation_id) == "token_invalid"


def test_one_is_made_for_a_generation_of_ones_own_only(
    ada: Customer,
    bob: Customer,
    workshop: Workshop,  # noqa: F811
) -> None:
    mine = workshop.submit(ada)
    assert ada.client().post(f"/v1/generations/{mine}/tickets", {}, format="json").status_code == 201
    assert bob.client().post(f"/v1/generations/{mine}/tickets", {}, format="json").status_code == 404
    writer = make_customer("Writer", ["generations:write"])
    assert writer.client().post(f"/v1/generations/{mine}/tickets", {}, format="json").status_code == 403


def test_it_is_no_access_token_and_no_picture(ada: Customer) -> None:
    from django.test import Client

    word = ticket_for(ada, new_id())
    assert Client(headers={"authorization": f"Bearer {word}"}).get("/v1/account").status_code == 401
    assert Client().get(f"/media/{word}").status_code == 404


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("https://app.example.org", True), ("https://APP.example.org", False), ("https://app.example.org.evil", False),
        ("https://evil.example", False), ("http://app.example.org", False), ("null", False), ("*", False),
        (None, False),
    ],
)  # fmt: skip
def test_a_page_of_a_listed_origin_may_read_the_stream_and_no_other(
    origin: str | None, let_in: bool, ada: Customer
) -> None:
    with platform_role():
        Tenant.objects.filter(id=ada.id).update(allowed_origins=["https://app.example.org"])
    keys.forget_all()
    record = keys.find(ada.key.public_id)
    assert record is not None
    said = tickets.cross_origin(record, origin)
    assert said["Vary"] == "Origin"
    assert said.get("Access-Control-Allow-Origin") == (origin if let_in else None)
    assert "Access-Control-Allow-Credentials" not in said
