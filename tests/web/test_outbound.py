"""Addresses that customers give are called only where they lead to the public Internet, and checked ones at that."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from threading import Event
from typing import Any

import pytest
from django.test import override_settings

from easel import outbound
from easel.outbound import RefusedAddress, Unreachable
from tests.web.receiver import answering, certificate, known, receiver


@pytest.fixture
def loopback() -> Iterator[None]:
    """An operator who lets customers call the loopback."""
    with override_settings(OUTBOUND_ALLOW=["127.0.0.0/8"]):
        yield


def call(url: str, **options: Any) -> outbound.Answer:
    return outbound.request("POST", url, **{"timeout": 5.0, **options})


INWARD = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::2", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "3fff::1", "100::1", "4000::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::",
    "2001:0:7f00:1::", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", INWARD)
def test_an_address_that_leads_inward_is_refused(address: str) -> None:
    assert outbound.refusal(address)
    with pytest.raises(RefusedAddress):
        call("http://customer.test/", resolver=known({"customer.test": [address]}))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"],
)
def test_a_public_address_is_not(address: str) -> None:
    assert outbound.refusal(address) == ""


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
def test_however_the_loopback_is_spelled_the_system_says_what_it_is(host: str) -> None:
    with pytest.raises((RefusedAddress, Unreachable)):
        call(f"http://{host}:8000/")


def test_one_forbidden_address_among_good_ones_forbids_the_host() -> None:
    resolver = known({"customer.test": ["1.1.1.1", "10.0.0.1"]})
    with pytest.raises(RefusedAddress, match="private"):
        call("https://customer.test/", resolver=resolver)
    with pytest.raises(RefusedAddress, match="private"):
        outbound.check("https://customer.test/", resolver=resolver)


def test_a_resolver_that_is_slow_does_not_keep_its_caller() -> None:
    over = Event()

    def slow(host: str, port: int) -> list[str]:
        over.wait(20)
        return ["1.1.1.1"]

    try:
        with pytest.raises(Unreachable, match="not found in time"):
            call("https://customer.test/", resolver=slow, timeout=0.05)
        assert not over.is_set()
    finally:
        over.set()


BAD_URLS = {
    "file:///etc/passwd": "https://",
    "gopher://customer.test/": "https://",
    "ftp://customer.test/": "https://",
    "//customer.test/": "https://",
    "customer.test": "https://",
    "": "https://",
    "http://": "no host",
    "http:///path": "no host",
    "http://user@customer.test/": "user name",
    "http://user:word@customer.test/": "user name",
    "http://@customer.test/": "user name",
    "http://customer.test:22/": "Port 22",
    "http://customer.test:0/": "Port 0",
    "http://customer.test:99999/": "not a URL",
    "http://customer.test:x/": "not a URL",
    "http://[::1/": "not a URL",
    "http://customer.test\\@other.test/": "backslash",
    "http://customer.test/\r\nX: y": "control",
    "http://customer.test/ x": "space",
    "http://customer\x00.test/": "control",
    "http://.../": "not a URL",
    "http://" + "a" * 64 + ".test/": "not a URL",
    "http://customer.test/" + "a" * 2048: "2048",
}


@pytest.mark.parametrize(("url", "rule"), BAD_URLS.items(), ids=[f"{url[:30]!r}" for url in BAD_URLS])
def test_a_url_that_is_none_is_refused_by_the_rule_it_breaks(url: str, rule: str) -> None:
    with pytest.raises(RefusedAddress, match=rule):
        call(url, resolver=known({}))


@pytest.mark.usefixtures("loopback")
def test_an_allowed_network_is_called_with_method_headers_and_body() -> None:
    with receiver(answering("201 Created", b"thanks", X_Name="value")) as (port, seen):
        answer = call(
            f"http://customer.test:{port}/a/b?c=d&e=%20",
            headers={"X-Easel-Event": "test", "Host": "other.test"},
            body=b"{}",
            resolver=known({"customer.test": ["127.0.0.1"]}),
        )
    assert (answer.status, answer.body, answer.truncated, answer.headers["x-name"]) == (201, b"thanks", False, "value")
    head = seen[0].decode()
    assert head.startswith("POST /a/b?c=d&e=%20 HTTP/1.1\r\n")
    assert f"\r\nHost: customer.test:{port}\r\n" in head
    assert "other.test" not in head
    assert "\r\nX-Easel-Event: test\r\n" in head
    assert "\r\nContent-Length: 2\r\n" in head


def test_what_the_operator_did_not_allow_is_not_even_connected_to() -> None:
    with receiver(answering()) as (port, seen):
        with pytest.raises(RefusedAddress):
            call(f"http://127.0.0.1:{port}/")
        assert call(f"http://127.0.0.1:{port}/", allow_private=True).status == 200
    assert len(seen) == 1


@pytest.mark.usefixtures("loopback")
def test_a_name_that_changes_its_address_after_the_check_changes_nothing() -> None:
    """DNS rebinding: the second answer would lead elsewhere, and nobody asks for it."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    with receiver(answering()) as (port, seen):
        call(f"http://customer.test:{port}/", resolver=lambda host, port: next(answers))
    assert len(seen) == 1
    assert next(answers) == ["127.0.0.2"]


@pytest.mark.usefixtures("loopback")
def test_a_redirect_is_an_answer_unless_it_was_asked_to_be_followed() -> None:
    with receiver(answering("302 Found", Location="/there")) as (port, seen):
        assert call(f"http://127.0.0.1:{port}/").status == 302
    assert len(seen) == 1


@pytest.mark.usefixtures("loopback")
def test_a_redirect_inward_is_refused() -> None:
    for onward in ("http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "file:///etc/passwd", "//[::1]/"):
        with (
            receiver(answering("307 Temporary Redirect", Location=onward)) as (port, _),
            pytest.raises(RefusedAddress),
        ):
            call(f"http://127.0.0.1:{port}/", redirects=3)


@pytest.mark.usefixtures("loopback")
def test_a_redirect_to_another_origin_takes_no_headers_along() -> None:
    with receiver(answering()) as (second, seen):
        onward = f"http://127.0.0.1:{second}/there"
        with receiver(answering("303 See Other", Location=onward)) as (first, _):
            answer = call(f"http://127.0.0.1:{first}/", headers={"Authorization": "x"}, body=b"secret", redirects=1)
    assert (answer.status, answer.url) == (200, onward)
    assert seen[0].startswith(b"GET /there")
    assert b"Authorization" not in seen[0]
    assert b"secret" not in seen[0]


@pytest.mark.usefixtures("loopback")
def test_redirects_in_a_circle_end() -> None:
    with receiver(answering("302 Found", Location="/again")) as (port, seen):
        assert call(f"http://127.0.0.1:{port}/", redirects=3).status == 302
    assert len(seen) == 4


def test_a_redirect_from_https_to_http_is_refused() -> None:
    call = outbound._Call("GET", "https://customer.test/", {}, b"")
    with pytest.raises(RefusedAddress, match="https to http"):
        call.redirected(302, "http://customer.test/")


@pytest.mark.usefixtures("loopback")
def test_a_long_body_is_cut_and_said_to_be() -> None:
    with receiver(answering(body=b"x" * 5000)) as (port, _):
        answer = call(f"http://127.0.0.1:{port}/", max_bytes=1000)
        assert (len(answer.body), answer.truncated) == (1000, True)
        answer = call(f"http://127.0.0.1:{port}/", max_bytes=5000)
        assert (len(answer.body), answer.truncated) == (5000, False)


def dripping(connection: socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.usefixtures("loopback")
def test_a_receiver_that_drips_bytes_holds_nobody_longer_than_the_deadline() -> None:
    started = time.monotonic()
    with receiver(dripping) as (port, _), pytest.raises(Unreachable, match="in time"):
        call(f"http://127.0.0.1:{port}/", timeout=0.5)
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    "said", [b"", b"220 smtp ready\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200]
)
def test_nonsense_is_no_answer(said: bytes) -> None:
    with receiver(lambda connection, _: connection.sendall(said)) as (port, _), pytest.raises(Unreachable):
        call(f"http://127.0.0.1:{port}/")


def test_a_host_without_address_and_a_closed_port_are_unreachable() -> None:
    with pytest.raises(Unreachable, match="no address"):
        call("http://nowhere.test/", resolver=known({}))
    with pytest.raises(Unreachable, match="no address"):
        call("http://nowhere.test/", resolver=known({"nowhere.test": []}))
    with receiver(answering()) as (port, _):
        pass
    with pytest.raises(Unreachable, match="properly"):
        call(f"http://127.0.0.1:{port}/", allow_private=True)


@pytest.mark.usefixtures("loopback")
def test_tls_names_the_host_and_verifies_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path, "customer.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    resolver = known({"customer.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    try:
        outbound._tls.cache_clear()
        with receiver(answering(), tls=context) as (port, seen):
            with pytest.raises(Unreachable, match="self-signed"):
                call(f"https://customer.test:{port}/", resolver=resolver)
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
            outbound._tls.cache_clear()
            assert call(f"https://customer.test:{port}/", resolver=resolver).status == 200
            with pytest.raises(Unreachable, match=r"[Hh]ostname mismatch"):
                call(f"https://other.test:{port}/", resolver=resolver)
    finally:
        outbound._tls.cache_clear()
    assert names == ["customer.test", "customer.test", "other.test"]
    assert len(seen) == 1
