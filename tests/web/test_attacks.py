"""What an attacker tries from outside, against the whole of the customers' port: each finds the door shut."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.core import mail
from django.test import Client, override_settings

from easel.database import platform_role
from easel.storage import storage
from generation import media
from generation.models import Generation, Image
from tests.cast import Customer
from tests.generation.conftest import Workshop, tiny_folder, workshop  # noqa: F401  fixtures
from tests.tenants import walks
from tests.tenants.people import PASSWORD, person, signed_in
from tests.web.live import ask, easel_served

SILENCE = 1.0  # seconds
EVIL = "https://evil.example/"
REDIRECTS = [
    EVIL, "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "javascript:alert(1)",
    "/%5cevil.example", "///evil.example", "http://testserver@evil.example/", "\thttps://evil.example",
]  # fmt: skip


@pytest.fixture
def port() -> Iterator[int]:
    with easel_served() as number:
        yield number


@pytest.fixture
def picture(ada: Customer) -> Image:
    """One of Ada's that is released and in storage."""
    world = walks.make_world(ada, status=Generation.Status.COMPLETED)
    with platform_role():
        image = Image.objects.get(id=world.objects["image_id"])
        image.object_key = f"t/{ada.id}/g/attack.png"
        image.released_at = "2026-01-01T00:00:00Z"
        image.save()
    storage().put(image.object_key, b"p", "image/png")
    return image


def raw(port: int, data: bytes) -> bytes:
    """What comes back until the server closes, or says nothing for a while: it may wait for a body that never comes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        try:
            while part := connection.recv(65536):
                received += part
                connection.settimeout(SILENCE)
        except TimeoutError:
            pass
    return received


# --- Sessions and redirects ----------------------------------------------------------------------------------


def test_a_session_that_was_planted_is_not_the_one_that_is_signed_in(ada: Customer) -> None:
    user, browser = person(ada.tenant), Client()
    browser.get("/console/sign-in")
    session = browser.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    browser.cookies["easel_console"] = planted
    browser.post("/console/sign-in", {"login": user.email, "password": PASSWORD})
    assert browser.session.session_key != planted
    thief = Client()
    thief.cookies["easel_console"] = planted
    assert thief.get("/console/").status_code == 302


def test_signing_out_and_a_new_password_end_sessions(ada: Customer) -> None:
    user = person(ada.tenant)
    here, there = signed_in(user), signed_in(user)
    stolen = here.cookies["easel_console"].value
    here.post("/console/sign-out")
    thief = Client()
    thief.cookies["easel_console"] = stolen
    assert thief.get("/console/").status_code == 302
    other = signed_in(user)
    fields = {"oldpassword": PASSWORD, "password1": "another long secret", "password2": "another long secret"}
    assert other.post("/console/account/password/change", fields).status_code == 302
    assert there.get("/console/").status_code == 302
    assert other.get("/console/").status_code == 200


@pytest.mark.parametrize("elsewhere", REDIRECTS)
def test_no_step_of_signing_in_or_out_leads_elsewhere(elsewhere: str, ada: Customer) -> None:
    user = person(ada.tenant)
    asked = f"?next={quote(elsewhere)}"
    browser = Client()
    fields = {"login": user.email, "password": PASSWORD, "next": elsewhere}
    answers = [browser.post(f"/console/sign-in{asked}", fields)]
    answers += [
        browser.get(f"/console/sign-in{asked}"),
        browser.post(f"/console/account/reauthenticate{asked}", fields),
    ]
    answers += [browser.post(f"/console/sign-out{asked}", {"next": elsewhere})]
    answers += [Client().get(f"/console/{asked}"), Client().get(f"/{asked}"), Client().get(f"/{quote(elsewhere)}")]
    for answer in answers:
        target = answer.headers.get("Location", "")
        assert target == "" or (target.startswith("/") and not target.startswith(("//", "/\\"))), target


@override_settings(BASE_URL="https://easel.example.org", EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
def test_a_foreign_host_gets_into_no_mail(ada: Customer) -> None:
    mail.outbox = []
    user = person(ada.tenant)
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example"}
    assert Client(headers=headers).post("/console/account/password/reset", {"email": user.email}).status_code == 302
    (message,) = [each for each in mail.outbox if user.email in each.to]
    assert "evil.example" not in message.body + message.subject
    assert "https://easel.example.org/" in message.body


@override_settings(ALLOWED_HOSTS=["easel.example.org"])
@pytest.mark.parametrize("host", ["evil.example", "easel.example.org.evil.example", "easel.example.org:80@evil", "a b"])
def test_a_foreign_host_is_refused_where_hosts_are_named(host: str) -> None:
    assert Client(headers={"host": host}).get("/console/sign-in").status_code == 400


# --- Headers and bodies --------------------------------------------------------------------------------------


def test_a_forwarded_address_is_believed_from_our_own_proxies_only(ada: Customer) -> None:
    with platform_role():
        type(ada.key).objects.filter(id=ada.key.id).update(allowed_networks=["198.51.100.0/24"])
    spoofed = {"x-forwarded-for": "198.51.100.9", "x-real-ip": "198.51.100.9", "forwarded": "for=198.51.100.9"}
    client = ada.client()
    assert client.get("/v1/account", headers=spoofed).json()["code"] == "address_not_allowed"
    with override_settings(NUM_PROXIES=1):
        chain = {"x-forwarded-for": "198.51.100.9, 203.0.113.5"}
        assert client.get("/v1/account", headers=chain).json()["code"] == "address_not_allowed"
        assert client.get("/v1/account", headers={"x-forwarded-for": "1.2.3.4, 198.51.100.9"}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/account", "/v1/generations", "/console/", "/console/keys", "/v1/keys"])
def test_no_cache_keeps_what_is_somebodys(path: str, ada: Customer) -> None:
    caller = ada.client() if path.startswith("/v1/") else signed_in(person(ada.tenant))
    assert "no-store" in caller.get(path)["Cache-Control"]


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_get_stays_a_get(header: str, ada: Customer) -> None:
    answer = ada.client().get(f"/v1/keys/{ada.key.public_id}", headers={header: "DELETE"})
    assert (answer.status_code, answer.json()["revoked_at"]) == (200, None)


@pytest.mark.parametrize(
    "number", ["9" * 5000, "0" * 5000 + "1", "-1", "1e3", "٣", "²", "1.0", "0x10", " 1", "+1", "nan"]
)
@pytest.mark.parametrize(
    "path",
    ["/v1/generations?limit=", "/v1/generations/search?q=x&limit=", "/v1/audit?limit=", "/v1/audit?before=",
     "/v1/webhooks/default/deliveries?limit="],
)  # fmt: skip
def test_a_number_that_is_none_is_an_error_of_the_caller(path: str, number: str, ada: Customer) -> None:
    assert ada.client().get(f"{path}{quote(number)}").status_code == 400


def test_a_number_that_is_none_breaks_no_page(ada: Customer) -> None:
    browser = signed_in(person(ada.tenant))
    for number in ("9" * 5000, "٣", "-1", "x"):
        assert browser.get("/console/audit", {"before": number}).status_code == 200


SMUGGLED = (
    b"GET /v1/account HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nConnection: close\r\n"
    b"X-Request-ID: smuggled\r\n\r\n"
)
TWO_LENGTHS: dict[str, bytes] = {
    "length and chunks": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % len(b"0\r\n\r\n"),
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks in disguise": b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    "chunks with a space": b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 100\r\n\r\n",
    "two lengths in one": b"Content-Length: 0, 100\r\n\r\n",
    "a length with a sign": b"Content-Length: +0\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\n\r\n",
    "a folded header": b"X-A: b\r\n Content-Length: 100\r\nContent-Length: 0\r\n\r\n",
    "a bare line feed": b"X-A: b\nContent-Length: 100\r\nContent-Length: 0\r\n\r\n",
    "a length by an underscore": b"Content_Length: 100\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("ending", TWO_LENGTHS.values(), ids=TWO_LENGTHS.keys())
def test_every_reader_sees_the_same_end_of_a_request(ending: bytes, port: int) -> None:
    """Refused, or ended where the head says: what follows is a request of its own, never part of a body, and no body is
    taken for a request."""
    received = raw(port, b"POST /oauth/token HTTP/1.1\r\nHost: a\r\n" + ending + SMUGGLED)
    first = received.partition(b"\r\n\r\n")[0]
    refused = b" 400 " in first.splitlines()[0] and b"connection: close" in first.lower() + received.lower()
    assert refused or received.lower().count(b"x-request-id: smuggled") == 1, received
    assert b" 500 " not in received


def test_a_body_is_never_taken_for_the_next_request(port: int) -> None:
    body = SMUGGLED
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    assert b"smuggled" not in raw(port, head + body)


def test_two_bearers_are_none(port: int, ada: Customer) -> None:
    token = ada.token().encode()
    lines = b"Authorization: Bearer " + token + b"\r\nAuthorization: Bearer x\r\n"
    assert b" 401 " in raw(port, b"GET /v1/account HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + lines + b"\r\n")
    under = (
        b"Authorization: Bearer x\r\nAuthorization_: Bearer " + token + b"\r\nX_API_Key: " + ada.key.public_id.encode()
    )
    received = raw(port, b"GET /v1/account HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + under + b"\r\n\r\n")
    assert b" 401 " in received


def test_what_a_caller_names_its_request_starts_no_header(port: int) -> None:
    asked = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-ID: "
    for name in (b"a\x0d\x0aSet-Cookie: x=y", b"a\x00b", b"\xff\xfe", b"x" * 5000, b"a b"):
        received = raw(port, asked + name + b"\r\n\r\n")
        head = received.partition(b"\r\n\r\n")[0].lower()
        assert b"set-cookie" not in head
        assert b"x" * 200 not in head


@pytest.mark.parametrize("kind", ["charset=hex", "charset=utf-7", "name*=nonsense''x", "name*=idna''%2e%2e"])
def test_no_content_type_changes_how_a_query_is_read(kind: str, port: int, ada: Customer) -> None:
    asked = "/v1/generations?model=+AAA-"  # in UTF-7 the model is U+0000
    answer = ask(port, "GET", asked, token=ada.token(), Content_Type=f"text/plain; {kind}")
    assert (answer.status, json.loads(answer.read())["data"]) == (200, [])


# --- Pictures ------------------------------------------------------------------------------------------------


def test_no_trick_with_a_pictures_address_opens_anything_else(picture: Image, bob: Customer) -> None:
    url = media.address(picture, base_url="")
    token = url.removeprefix("/media/")
    assert Client().get(url).status_code == 200
    value, moment, signature = token.rsplit(":", 2)
    other = media.address(Image(id=picture.id, tenant_id=bob.id), base_url="").removeprefix("/media/")
    borrowed = f"{other.rsplit(':', 2)[0]}:{moment}:{signature}"
    tricks = [
        f"{token}x", token[:-1], f"{value}:{moment}:", f"{value}:{signature}", other, borrowed, f"../media/{token}x",
        f"..%2f{token}", picture.object_key, f"%2e%2e/{picture.object_key}", f"{token}/../../v1/account",
        f"{token}%00", f"{token};{other}", "", "%", "a:b:c", f"{token}%0d%0aSet-Cookie:x", f".{token}",
    ]  # fmt: skip
    for trick in tricks:
        assert Client().get(f"/media/{trick}").status_code == 404, trick
    assert Client().post(url).status_code == 405
    for header in ({"range": "bytes=0-0"}, {"x-original-url": "/admin/"}, {"x-rewrite-url": "/admin/"}):
        assert Client().get(url, headers=header).status_code in {200, 206}


def test_a_picture_that_was_taken_back_is_gone_at_once(picture: Image) -> None:
    url = media.address(picture, base_url="")
    assert Client().get(url).status_code == 200
    with platform_role():
        Image.objects.filter(id=picture.id).update(released_at=None)
    assert Client().get(url).status_code == 404
    etag = {"if-none-match": f'"{picture.sha256}"'}
    assert Client().get(url, headers=etag).status_code == 404


def test_a_picture_is_no_page_with_rights(picture: Image) -> None:
    answer = Client().get(media.address(picture, base_url=""))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"].startswith("private")


# --- More than one may ---------------------------------------------------------------------------------------


FORBIDDEN = {
    "tenant": "x", "tenant_id": "x", "credits": 0, "quote_credits": 0, "status": "completed", "released_at": "now",
    "key_id": "x", "priority": 99, "test_mode": True, "pool": "x", "lease_id": "x", "id": "x", "work": 0,
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), FORBIDDEN.items())
def test_a_request_sets_nothing_that_is_ours(
    field: str,
    value: object,
    ada: Customer,
    workshop: Workshop,  # noqa: F811
) -> None:
    answer = ada.client().post("/v1/generations", workshop.body(**{field: value}), format="json")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_an_unreleased_picture_is_no_start_for_another(ada: Customer, picture: Image, workshop: Workshop) -> None:  # noqa: F811
    with platform_role():
        Image.objects.filter(id=picture.id).update(released_at=None)
    client = ada.client()
    body = workshop.body(init_image=str(picture.id))
    assert client.post("/v1/generations", body, format="json").json()["errors"][0]["code"] == "unknown_image"
    for what in ("variations", "upscale"):
        assert client.post(f"/v1/images/{picture.id}/{what}", {}, format="json").status_code == 404
    shown = json.dumps(client.get(f"/v1/generations/{picture.generation_id}").json())
    assert str(picture.id) not in shown
