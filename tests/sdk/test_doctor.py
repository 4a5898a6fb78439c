"""`easel doctor` names the cause of each prepared failure, and says what to do."""

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from billing import ledger
from billing.models import NOBODY, Allowance
from easel.database import platform_role
from easel_client.cli import credentials, exits
from generation.models import Model
from tenants import key_changes
from tenants.audit import SYSTEM
from tenants.lifecycle import freeze
from tests.cast import Customer, make_customer
from tests.sdk.command import easel, keep, lines, sign_in
from tests.sdk.faulty import Asked, FaultyProxy
from tests.sdk.town import Town
from tests.web.receiver import answering, certificate, receiver

TODAY = datetime.datetime.now(datetime.UTC)


def examined(expected: int) -> dict[str, Any]:
    """The last finding, which is the bad one."""
    done = easel("--json", "doctor")
    assert done.exit_code == expected, done.output
    found: dict[str, Any] = lines(done)[-1]
    assert found["state"] == "bad"
    return found


def test_where_all_is_well_it_says_so(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada)
    done = easel("doctor")
    assert done.exit_code == exits.OK, done.output
    assert done.stdout.count("✓") == 11
    assert "is well" in done.stdout


def test_1_nobody_has_signed_in() -> None:
    found = examined(exits.NOT_LET_IN)
    assert (found["check"], "easel login" in found["remedy"]) == ("credentials", True)


def test_2_others_can_read_the_credentials() -> None:
    credentials.path().parent.mkdir()
    keep(credentials.path().parent, base_url="http://x", api_key="ek_live_x", api_secret="es_x").chmod(0o644)
    found = examined(exits.NOT_LET_IN)
    assert (found["check"], "chmod 600" in found["remedy"]) == ("credentials", True)


def test_3_the_name_leads_nowhere(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "http://no-such-host.invalid", ada)
    found = examined(exits.UNREACHABLE)
    assert (found["check"], "no-such-host.invalid" in found["said"]) == ("address", True)


def test_a_name_that_only_the_proxy_knows_is_left_to_the_proxy(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(answering(body=b'{"status": "ok"}', Content_Type="application/json")) as (port, _):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        sign_in(monkeypatch, "http://no-such-host.invalid", ada)
        found = {each["check"]: each["state"] for each in lines(easel("--json", "doctor"))}
    assert (found["address"], found["connection"]) == ("warning", "good")
    monkeypatch.setenv("NO_PROXY", "no-such-host.invalid")
    assert examined(exits.UNREACHABLE)["check"] == "address"


def test_4_nothing_listens_there(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "http://127.0.0.1:9", ada)
    found = examined(exits.UNREACHABLE)
    assert (found["check"], "make up" in found["remedy"]) == ("connection", True)


def test_5_something_else_answers_there(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(answering(body=b"<html>It works!</html>", Content_Type="text/html")) as (port, _):
        sign_in(monkeypatch, f"http://127.0.0.1:{port}", ada)
        found = examined(exits.UNREACHABLE)
    assert (found["check"], "not Easel" in found["said"]) == ("connection", True)


def test_6_tls_is_spoken_where_there_is_none(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, easel_town.base_url.replace("http:", "https:"), ada)
    found = examined(exits.UNREACHABLE)
    assert (found["check"], "http://" in found["remedy"]) == ("connection", True)


def test_7_the_certificate_is_nobodys(ada: Customer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "localhost"))
    with receiver(answering(body=b'{"status": "ok"}'), tls=context) as (port, _):
        sign_in(monkeypatch, f"https://localhost:{port}", ada)
        found = examined(exits.UNREACHABLE)
    assert (found["check"], "not trusted" in found["said"]) == ("connection", True)


def test_8_the_clock_is_wrong(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    ago = (TODAY - datetime.timedelta(minutes=5)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    with receiver(answering(body=b'{"status": "ok"}', Date=ago)) as (port, _):
        sign_in(monkeypatch, f"http://127.0.0.1:{port}", ada)
        found = examined(exits.UNREACHABLE)
    assert (found["check"], "ahead of" in found["said"]) == ("clock", True)
    assert "timedatectl" in found["remedy"]


def test_9_a_part_of_easel_is_away(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"status": "unavailable", "checks": {"postgres": "ok", "s3": "failing"}}).encode()

    def handle(connection: Any, head: bytes) -> None:
        if b"GET /readyz" in head:
            answering("503 Service Unavailable", body)(connection, head)
        else:
            now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
            answering(body=b'{"status": "ok"}', Date=now, Connection="close")(connection, head)

    with receiver(handle) as (port, _):
        sign_in(monkeypatch, f"http://127.0.0.1:{port}", ada)
        found = examined(exits.UNREACHABLE)
    assert (found["check"], "s3" in found["said"], "postgres" in found["said"]) == ("service", True, False)


def test_10_the_secret_is_another_keys(
    easel_town: Town, ada: Customer, bob: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada, secret=bob.secret)
    found = examined(exits.NOT_LET_IN)
    assert (found["check"], "easel login" in found["remedy"]) == ("key", True)


def test_11_the_key_was_revoked(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    key_changes.revoke(ada.key, actor=SYSTEM)
    sign_in(monkeypatch, easel_town.base_url, ada)
    found = examined(exits.NOT_LET_IN)
    assert (found["check"], "revoked" in found["said"] + found["remedy"]) == ("key", True)


def test_12_the_key_may_not_draw(easel_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = make_customer("Reader", ["generations:read", "account:read"])
    sign_in(monkeypatch, easel_town.base_url, reader)
    found = examined(exits.NOT_LET_IN)
    assert (found["check"], "generations:write" in found["said"]) == ("scopes", True)


def test_13_the_key_may_not_be_used_from_here(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    key_changes.change(ada.key, values={"allowed_networks": ["192.0.2.0/24"]}, actor=SYSTEM)
    sign_in(monkeypatch, easel_town.base_url, ada)
    assert "network" in examined(exits.NOT_LET_IN)["remedy"]


def test_14_the_account_is_suspended(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with platform_role():
        freeze(ada.id)
    sign_in(monkeypatch, easel_town.base_url, ada)
    found = examined(exits.NOT_LET_IN)
    assert "suspended" in found["said"] + found["remedy"]


def test_15_there_are_no_credits(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with platform_role():
        ledger.take(ada.id, 10**9, operation_id="take:doctor", partial=True)
    sign_in(monkeypatch, easel_town.base_url, ada)
    assert examined(exits.SPENT)["check"] == "credits"


def test_16_the_quota_is_used_up(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada)
    with platform_role():
        Allowance.objects.update_or_create(tenant_id=ada.id, key_id=NOBODY, defaults={"generations_per_day": 0})
    found = examined(exits.SPENT)
    assert (found["check"], "begins anew" in found["remedy"]) == ("quota", True)


def test_17_there_is_no_model(easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada)
    with platform_role():
        enabled = list(Model.objects.filter(enabled=True).values_list("id", flat=True))
        Model.objects.filter(id__in=enabled).update(enabled=False)
    try:
        assert examined(exits.UNREACHABLE)["check"] == "models"
    finally:
        with platform_role():
            Model.objects.filter(id__in=enabled).update(enabled=True)


def test_18_the_port_is_no_number(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("http://127.0.0.1:80o0", "http://127.0.0.1:99999", "http://:80", "http://exa mple"):
        sign_in(monkeypatch, wrong, ada)
        found = examined(exits.UNREACHABLE)
        assert (found["check"], "https://easel.example" in found["remedy"]) == ("address", True)
        done = easel("models")
        assert (done.exit_code, "is no address" in done.stderr) == (exits.USAGE, True)
        words = ["login", "--url", wrong, "--key", ada.key.public_id, "--secret-stdin"]
        assert easel(*words, given=f"{ada.secret}\n").exit_code == exits.USAGE
    assert not credentials.path().exists()


def test_19_the_environment_comes_from_a_file_with_other_line_ends(
    easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASEL_URL", f"{easel_town.base_url}/\r")
    monkeypatch.setenv("EASEL_API_KEY", f"{ada.key.public_id}\r")
    monkeypatch.setenv("EASEL_API_SECRET", f"{ada.secret}\r")
    for word in ("doctor", "models"):
        done = easel(word)
        assert done.exit_code == exits.OK, done.output


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks://127.0.0.1:9"), ("ALL_PROXY", "socks5://127.0.0.1:9"), ("SSL_CERT_FILE", "/no/such/file")],
)
def test_20_the_environment_names_a_proxy_or_certificates_that_cannot_be_used(
    easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada)
    monkeypatch.setenv(name, value)
    found = examined(exits.UNREACHABLE)
    assert (found["check"], name in found["remedy"]) == ("connection", True)
    words = ["login", "--url", easel_town.base_url, "--key", ada.key.public_id, "--secret-stdin"]
    for done in (easel("models"), easel(*words, given=f"{ada.secret}\n")):
        assert (done.exit_code, name in done.stderr) == (exits.UNREACHABLE, True), done.output


class Listening(FaultyProxy):
    """Does nothing to what passes, and remembers it."""

    def __init__(self, base_url: str) -> None:
        host, _, port = base_url.removeprefix("http://").partition(":")
        self.heard: list[Asked] = []
        super().__init__((host, int(port)), share=0.0, seed=1)

    def _one(self, client: Any, asked: Asked) -> None:
        self.heard.append(asked)
        super()._one(client, asked)


@pytest.mark.parametrize("word", ["login", "doctor", "mcp"])
def test_under_seal_no_command_sends_the_secret(
    easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    proxy = Listening(easel_town.base_url)
    sign_in(monkeypatch, proxy.url, ada)
    try:
        if word == "mcp":
            anyio.run(list_models_by_mcp)
        else:
            words = ["--secret-stdin"] if word == "login" else []
            done = easel("--sealed", word, *words, given=f"{ada.secret}\n")
            assert done.exit_code == exits.OK, done.output
    finally:
        proxy.close()
    assert any("easel-seal" in asked.headers for asked in proxy.heard)
    assert not any(asked.path == "/oauth/token" or ada.secret.encode() in asked.body for asked in proxy.heard)


async def list_models_by_mcp() -> None:
    environment = {name: value for name, value in os.environ.items() if name.startswith("EASEL_") or name == "PATH"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2] / "sdk" / "python")
    words = ["-m", "easel_client", "--sealed", "mcp"]
    server = StdioServerParameters(command=sys.executable, args=words, env=environment)
    with anyio.fail_after(60):
        async with Client(stdio_client(server)) as client:
            assert not (await client.call_tool("list_models", {})).is_error


def test_under_seal_a_wrong_secret_is_named(
    easel_town: Town, ada: Customer, bob: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada, secret=bob.secret)
    done = easel("--json", "--sealed", "doctor")
    assert (done.exit_code, lines(done)[-1]["check"]) == (exits.NOT_LET_IN, "key")
