"""What our pages let a browser do, and what production refuses to start on."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client, override_settings

from easel.browser import content_policy
from easel.embedded.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
INLINE = re.compile(
    r"<script(?![^>]*\b(?:src=|type=\"application/json\"))|<style|\sstyle=|\son[a-z]+=|javascript:", re.I
)


def policy(path: str) -> dict[str, str]:
    said = Client(headers={"accept": "text/html"}).get(path)["Content-Security-Policy"]
    return dict(rule.strip().split(" ", 1) for rule in said.split(";"))


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-up", "/v1/account", "/nothing", "/readyz"])
def test_every_answer_forbids_foreign_and_inline_scripts_and_frames(path: str) -> None:
    rules = policy(path)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert rules["base-uri"] == "'none'"
    answer = Client().get(path)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_no_page_has_a_script_or_a_style_inside() -> None:
    pages = sorted((ROOT / "templates").rglob("*.html"))
    assert len(pages) > 8
    assert {str(page): INLINE.findall(page.read_text()) for page in pages if INLINE.search(page.read_text())} == {}


def test_pictures_may_come_from_the_stores_public_address() -> None:
    assert "img-src 'self' data:;" in content_policy("")
    assert "img-src 'self' data: https://s3.example.org:9000;" in content_policy("https://s3.example.org:9000/bucket")


@pytest.mark.parametrize("path", ["/v1/account", "/v1/keys", "/oauth/token", "/console/", "/console/sign-in"])
def test_no_other_origin_may_read_anything(path: str) -> None:
    client = Client(headers={"origin": "https://evil.example", "access-control-request-method": "GET"})
    for answer in (client.get(path), client.options(path)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_a_form_without_its_token_is_refused() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/console/sign-in", {"login": "a@example.com", "password": "x"}).status_code == 403


def test_who_sends_an_outdated_form_is_led_back_to_its_page() -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept": "text/html"})
    came = {"referer": "http://testserver/console/sign-in?next=/console/keys"}
    page = client.post("/console/sign-in", {"login": "a@example.com", "password": "x"}, headers=came)
    text = page.content.decode()
    assert (page.status_code, INLINE.findall(text)) == (403, [])
    assert "Nothing was done." in text
    assert 'href="/console/sign-in?next=/console/keys"' in text
    elsewhere = client.post("/console/sign-in", {}, headers={"referer": "https://evil.example/x"}).content.decode()
    assert "evil.example" not in elsewhere
    for unopened in ("/console/keys/ek_x/rotate", "/console/nothing/at/all"):  # the first takes POST alone
        page = client.post("/console/sign-in", {}, headers={"referer": f"http://testserver{unopened}"})
        assert unopened not in page.content.decode()


@override_settings(SESSION_COOKIE_SECURE=True)
def test_cookies_are_out_of_reach_of_scripts_and_other_sites() -> None:
    client = Client()
    client.get("/console/sign-in")
    (cookie,) = client.cookies.values()
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


# --- Production ----------------------------------------------------------------------------------------------


def ring(number: int = 1) -> str:
    return f"{number}:{base64.b64encode(os.urandom(32)).decode()}"


def production(stack: Stack, *command: str, process: str = "web", **changed: str) -> "subprocess.CompletedProcess[str]":
    fit = {
        "DJANGO_SETTINGS_MODULE": "easel.settings.production",
        "EASEL_ALLOWED_HOSTS": "easel.example.org",
        "EASEL_BASE_URL": "https://easel.example.org",
    }
    given = stack.environment(process) | fit | changed
    for name in ("PROMETHEUS_MULTIPROC_DIR", "DJANGO_ALLOW_ASYNC_UNSAFE"):  # of a process that serves, of our browser
        given.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", *(command or ("check",))],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("process", ["web", "staff"])
def test_the_deployment_check_is_clean(process: str, stack: Stack) -> None:
    done = production(stack, "check", "--deploy", "--fail-level", "WARNING", process=process)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_production_refuses_default_secrets_and_says_which(stack: Stack) -> None:
    same = ring()
    done = production(
        stack,
        process="staff",
        EASEL_SECRET_KEY="change-me",
        EASEL_PLATFORM_KEYS=same,
        EASEL_TOKEN_KEYS=f"{same},2:{base64.b64encode(bytes(32)).decode()}",
        EASEL_DATABASE_URL="postgresql://easel_app:easel_app@127.0.0.1/easel",
        EASEL_PLATFORM_DATABASE_URL="postgresql://easel_platform:short@127.0.0.1/easel",
        EASEL_S3_SECRET_KEY="minioadmin",
        EASEL_ALLOWED_HOSTS="*",
    )
    assert done.returncode != 0
    for variable in (
        "EASEL_SECRET_KEY: at least 50",
        "EASEL_TOKEN_KEYS: the key with the id 1 is in EASEL_PLATFORM_KEYS",
        "EASEL_TOKEN_KEYS: the key with the id 2 is not random",
        "EASEL_DATABASE_URL: the password is one that everybody knows",
        "EASEL_PLATFORM_DATABASE_URL: the password has fewer than 12",
        "EASEL_S3_SECRET_KEY: the password is one that everybody knows",
        "EASEL_ALLOWED_HOSTS: name the hosts",
    ):
        assert variable in done.stderr
    for value in (same, "change-me", "minioadmin", "easel_app:easel_app"):
        assert value not in done.stderr


NEEDED = {"EASEL_BROKER_URL", "EASEL_CACHE_URL", "EASEL_PLATFORM_KEYS"}


@pytest.mark.parametrize(
    ("process", "needed"),
    [
        ("web", NEEDED | {"EASEL_DATABASE_URL", "EASEL_TOKEN_KEYS"}),
        ("clock", NEEDED | {"EASEL_PLATFORM_DATABASE_URL"}),
        ("manage", set()),
    ],
)
def test_production_names_what_the_process_would_miss(process: str, needed: set[str], stack: Stack) -> None:
    given = NEEDED | {"EASEL_DATABASE_URL", "EASEL_PLATFORM_DATABASE_URL", "EASEL_TOKEN_KEYS"}
    done = production(stack, process=process, **dict.fromkeys(given, ""))
    assert set(re.findall(r"(EASEL_\w+): it is not set", done.stderr)) == needed
    assert (done.returncode == 0) == (not needed)


@pytest.mark.parametrize("address", ["", "http://easel.example.org"])
def test_the_web_process_needs_its_public_address(address: str, stack: Stack) -> None:
    done = production(stack, EASEL_BASE_URL=address)
    assert "EASEL_BASE_URL: the public https:// address" in done.stderr


SEND = """
from django.core.mail import send_mail
send_mail("A new password", "https://easel.example.org/secret-link", None, ["ada@example.org"])
"""


@pytest.mark.parametrize("process", ["web", "clock"])
def test_production_without_a_mail_server_writes_no_link_anywhere(process: str, stack: Stack) -> None:
    done = production(stack, "shell", "-c", SEND, process=process)
    assert done.returncode == 0, done.stderr
    assert "EASEL_EMAIL_HOST names no server" in done.stderr
    assert "secret-link" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("process", "public", "starts"),
    [("web", "", False), ("web", "https://easel.example.org", True), ("clock", "", True)],
)
def test_links_in_mails_never_lead_where_a_request_says(process: str, public: str, starts: bool, stack: Stack) -> None:
    given = {"EASEL_EMAIL_HOST": "smtp.example.org", "EASEL_BASE_URL": public}
    done = production(stack, process=process, DJANGO_SETTINGS_MODULE="easel.settings.embedded", **given)
    assert (done.returncode == 0) == starts, done.stderr
    assert starts or all(name in done.stderr for name in given)
