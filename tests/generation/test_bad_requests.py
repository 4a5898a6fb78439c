"""Bad input gets a clear error that names the field; nothing is queued and nothing is charged."""

from typing import Any

import pytest

from billing.models import Hold
from easel.database import platform_role
from generation.models import Generation
from tests.cast import Customer
from tests.generation.conftest import Workshop

BAD_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown field", {"promt": "a cat"}, "promt"),
    ("no prompt", {"prompt": None}, "prompt"),
    ("an empty prompt", {"prompt": "  "}, "prompt"),
    ("a prompt that is a number", {"prompt": 7}, "prompt"),
    ("a prompt of 20,000 characters", {"prompt": "x" * 20_000}, "prompt"),
    ("a NUL byte", {"prompt": "a\0cat"}, "prompt"),
    ("no steps", {"steps": 0}, "steps"),
    ("151 steps", {"steps": 151}, "steps"),
    ("steps as text", {"steps": "30"}, "steps"),
    ("steps as a fraction", {"steps": 2.5}, "steps"),
    ("steps as a truth", {"steps": True}, "steps"),
    ("a width of 63", {"width": 63}, "width"),
    ("a width that is no multiple of 8", {"width": 100}, "width"),
    ("a width beyond the model", {"width": 2048}, "width"),
    ("a huge height", {"height": 10**20}, "height"),
    ("a cfg_scale of 31", {"cfg_scale": 31}, "cfg_scale"),
    ("a cfg_scale as text", {"cfg_scale": "7"}, "cfg_scale"),
    ("a cfg_scale of 400 digits", {"cfg_scale": 10**400}, "cfg_scale"),
    ("an unknown sampler", {"sampler": "Magic"}, "sampler"),
    ("a refused sampler", {"sampler": "DPM adaptive"}, "sampler"),
    ("a negative seed", {"seed": -1}, "seed"),
    ("a seed over 63 bits", {"seed": 2**63}, "seed"),
    ("no images", {"n": 0}, "n"),
    ("nine images", {"n": 9}, "n"),
    ("an unknown format", {"format": "gif"}, "format"),
    ("an unknown model", {"model": "nobody"}, "model"),
    ("metadata that is a list", {"metadata": ["a"]}, "metadata"),
    ("metadata with too many entries", {"metadata": {str(i): "x" for i in range(17)}}, "metadata"),
]


@pytest.mark.parametrize(("fields", "named"), [case[1:] for case in BAD_FIELDS], ids=[case[0] for case in BAD_FIELDS])
def test_a_bad_field_is_named(ada: Customer, workshop: Workshop, fields: dict[str, Any], named: str) -> None:
    answer = ada.client().post("/v1/generations", workshop.body(**fields), format="json")
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_request"
    assert [error["field"].split(".")[0] for error in problem["errors"]] == [named]
    assert problem["instance"] == answer["X-Request-ID"]
    nothing_happened(ada)


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"[]", b'"text"', b'{"prompt": NaN}', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(ada: Customer, body: bytes) -> None:
    answer = ada.client().generic("POST", "/v1/generations", body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] == "invalid_request"
    nothing_happened(ada)


def test_half_a_surrogate_pair_is_no_text(ada: Customer) -> None:
    body = b'{"prompt": "a \\ud800 cat"}'
    answer = ada.client().generic("POST", "/v1/generations", body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == "prompt"


def test_a_form_is_not_json(ada: Customer) -> None:
    answer = ada.client().post("/v1/generations", {"prompt": "a cat"}, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_an_empty_wallet_refuses_before_anything_is_written(ada: Customer, workshop: Workshop) -> None:
    dear = workshop.body(n=8, steps=150, width=1024, height=1024)
    for _ in range(7):
        assert ada.client().post("/v1/generations", dear, format="json").status_code == 202
    answer = ada.client().post("/v1/generations", dear, format="json")
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    with platform_role():
        assert Generation.objects.filter(tenant=ada.tenant).count() == 7
        assert Hold.objects.filter(tenant=ada.tenant).count() == 7


def nothing_happened(customer: Customer) -> None:
    with platform_role():
        assert not Generation.objects.filter(tenant=customer.tenant).exists()
        assert not Hold.objects.filter(tenant=customer.tenant).exists()
