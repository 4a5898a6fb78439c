"""A key's secret, sent wherever it does not belong and then into an error, shows in no log line and no answer."""

import json
from collections.abc import Iterator

import pytest
from django.test import Client, override_settings
from django.urls import clear_url_caches, get_resolver, path

from easel.database import rows
from tenants import keys
from tests.cast import Customer
from tests.web.test_logs import Lines, lines  # noqa: F401  a fixture


@pytest.fixture
def broken() -> Iterator[None]:
    """A view of ours that fails with everything it was sent at hand."""

    def fail(request, **_):  # type: ignore[no-untyped-def]
        held = (request.headers.get("Authorization"), request.body, request.get_full_path())
        raise ValueError(f"failed with {held}")

    patterns = get_resolver("easel.urls").url_patterns
    patterns.insert(0, path("broken", fail))
    clear_url_caches()
    yield
    patterns.pop(0)
    clear_url_caches()


def test_a_secret_in_the_wrong_place_is_repeated_nowhere(
    ada: Customer,
    lines: Lines,  # noqa: F811
    broken: None,
) -> None:
    secret, token = ada.secret, ada.token()
    client = Client(raise_request_exception=False)
    answers = []
    for authorization in (f"Bearer {secret}", f"Basic {secret}", secret, f"Bearer {token}", f"Bearer {token[:-2]}"):
        headers = {"authorization": authorization}
        targets = ("/v1/account", "/broken", f"/v1/keys/{secret}", f"/v1/account?api_secret={secret}", f"/{secret}")
        for target in targets:
            answers.append(client.get(target, headers=headers))
        for body in (
            {"prompt": secret}, {secret: "x"}, {"model": secret}, {"prompt": "x", "webhook_url": f"https://{secret}@x/"},
            {"prompt": "x", "metadata": {"key": secret}},
        ):  # fmt: skip
            answers.append(client.post("/v1/generations", body, content_type="application/json", headers=headers))
        answers.append(client.post("/broken", {"secret": secret}, headers=headers))
    form = {"grant_type": "client_credentials", "client_id": ada.key.public_id}
    answers += [
        client.post("/oauth/token", {**form, "client_secret": secret + "x"}),
        client.post("/oauth/token", {**form, "client_secret": secret, "scope": secret}),
        client.post("/oauth/token", {**form, "client_id": secret, "client_secret": secret}),
        client.post("/oauth/revoke", {**form, "client_secret": secret, "token": token}),
        client.post("/console/sign-in", {"login": f"{secret}@example.com", "password": secret}),
    ]
    assert any(answer.status_code == 500 for answer in answers), "the worst case was tried"
    written = "\n".join(json.dumps(line) for line in lines())
    assert "failed with" in written
    for hidden in (secret, token, token.rpartition(".")[2]):
        assert hidden not in written
    own_words = (f"/v1/keys/{secret}", secret)  # what a caller typed may be named in their own answer's field list
    for answer in answers:
        if answer.status_code >= 500 or answer.status_code in {401, 403}:
            assert not [word for word in own_words if word in answer.content.decode()], answer.content
        assert token not in answer.content.decode()


def test_the_database_holds_no_secret_in_clear_but_its_owners_can_still_prove_it(ada: Customer) -> None:
    from easel.database import platform_role

    with platform_role():
        ((stored,),) = rows("SELECT k::text FROM tenants_apikey k WHERE id = %s", [ada.key.id])
    for form in (ada.secret, ada.secret.encode().hex()):
        assert form not in stored
    record = keys.find(ada.key.public_id)
    assert record is not None
    assert ada.secret not in repr(record)
    assert record.data_key.material not in repr(record).encode()


@override_settings(DEBUG=False)
def test_an_error_page_has_no_traceback(broken: None) -> None:
    answer = Client(raise_request_exception=False, headers={"accept": "text/html"}).get("/broken")
    assert answer.status_code == 500
    assert b"Traceback" not in answer.content
    assert b"failed with" not in answer.content
