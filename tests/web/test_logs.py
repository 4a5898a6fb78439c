"""Log lines are ECS JSON whoever writes them, name their request, and hold no secret."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from easel import logs
from easel.requests import ARRIVED, RequestIdentity, begin
from easel.settings import environment

Lines = Callable[[], list[dict[str, Any]]]
SECRETS = {
    "authorization": "Bearer abcdef",
    "Authorization": "Basic abcdef",
    "api_secret": "es_1234567890",
    "password": "hunter2",
    "prompt": "cyberpunk cityscape",
    "negative_prompt": "blurry",
    "prompts": ["one", "two"],
    "access_token": "abc",
    "Set-Cookie": "session=1",
    "client_assertion": "abc",
    "data-key": b"abc",
}


def configure(form: str = "ecs") -> io.StringIO:
    """What is written from here on."""
    logs.configure({"level": "INFO", "form": form, "process": "web"})
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    return written


@pytest.fixture
def lines() -> Iterator[Lines]:
    structlog.contextvars.clear_contextvars()
    written = configure()
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logs.configure(settings.LOGGING)
    structlog.contextvars.clear_contextvars()


def test_a_line_has_what_the_schema_asks_for(lines: Lines) -> None:
    structlog.get_logger("easel.test").info("drawn", quality_score=0.9)
    (line,) = lines()
    assert list(line)[:3] == ["@timestamp", "log.level", "message"]
    assert (line["log.level"], line["message"], line["quality_score"]) == ("info", "drawn", 0.9)
    assert (line["service.name"], line["process.name"], line["log.logger"]) == ("easel", "web", "easel.test")
    assert line["@timestamp"].endswith("+00:00")


@pytest.mark.parametrize("name", ["django.request", "uvicorn.error", "dramatiq.worker", "anything.else"])
def test_other_peoples_loggers_write_the_same_lines(lines: Lines, name: str) -> None:
    logging.getLogger(name).error("%s of %s", 1, 2)
    (line,) = lines()
    assert (line["message"], line["log.level"], line["log.logger"]) == ("1 of 2", "error", name)


def test_loggers_that_were_set_up_before_us_write_once(lines: Lines) -> None:
    elsewhere = io.StringIO()
    for name in ("uvicorn", "dramatiq"):
        logging.getLogger(name).addHandler(logging.StreamHandler(elsewhere))
        logging.getLogger(name).propagate = False
    written = configure()
    logging.getLogger("uvicorn").warning("once")
    logging.getLogger("dramatiq").warning("twice")
    assert [json.loads(line)["message"] for line in written.getvalue().splitlines()] == ["once", "twice"]
    assert elsewhere.getvalue() == ""


def test_request_and_tenant_are_on_every_line_of_a_request_and_on_no_other(lines: Lines) -> None:
    begin("mine")
    structlog.contextvars.bind_contextvars(tenant="t1")
    structlog.get_logger("easel.test").info("ours")
    logging.getLogger("botocore").warning("theirs")
    begin("next")
    structlog.get_logger("easel.test").info("later")
    ours, theirs, later = lines()
    assert [(line["request_id"], line["tenant"]) for line in (ours, theirs)] == [("mine", "t1")] * 2
    assert (later["request_id"], "tenant" in later) == ("next", False)


def test_an_answered_request_is_one_line_without_its_path(lines: Lines) -> None:
    identity = RequestIdentity(lambda request: HttpResponse(status=418))
    identity(RequestFactory().get("/media/signed-token?secret=1", headers={"x-request-id": "mine"}))
    (line,) = lines()
    assert (line["message"], line["http.response.status_code"], line["request_id"]) == ("answered", 418, "mine")
    assert line["event.duration"] > 0
    assert "signed-token" not in json.dumps(line)


@pytest.mark.parametrize(
    ("wanted", "address", "told"),
    [
        ("full", "203.0.113.77", "203.0.113.77"),
        ("full", "2001:db8:1:2::3", "2001:db8:1:2::3"),
        ("network", "203.0.113.77", "203.0.113.0"),
        ("network", "2001:db8:1:2::3", "2001:db8:1::"),
        ("network", "::ffff:203.0.113.77", "203.0.113.0"),
        ("network", "", None),  # a socket of this machine
        ("none", "203.0.113.77", None),
    ],
)
def test_as_much_of_the_clients_address_is_written_as_the_operator_wants(
    lines: Lines, wanted: str, address: str, told: str | None
) -> None:
    with override_settings(LOG_ADDRESSES=wanted):
        RequestIdentity(lambda request: HttpResponse())(RequestFactory().get("/", REMOTE_ADDR=address))
    (line,) = lines()
    assert line.get("client.ip") == told
    assert told == address or not address or address not in json.dumps(line)


def test_a_misspelt_wish_for_addresses_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.choice("EASEL_LOG_ADDRESSES", "full", "network", "none") == "full"
    monkeypatch.setenv("EASEL_LOG_ADDRESSES", "nets")
    with pytest.raises(ImproperlyConfigured, match="EASEL_LOG_ADDRESSES must be one of full, network, none"):
        environment.choice("EASEL_LOG_ADDRESSES", "full", "network", "none")


def test_the_time_of_an_answer_has_the_wait_for_a_thread_in_it(lines: Lines) -> None:
    identity = RequestIdentity(lambda request: HttpResponse(status=418))
    identity(RequestFactory().get("/", **{ARRIVED: time.perf_counter() - 2}))  # type: ignore[arg-type]
    (line,) = lines()
    assert line["event.duration"] >= 2e9


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_known_by_its_name_at_any_depth(lines: Lines, name: str) -> None:
    structlog.get_logger("easel.test").info("x", **{name: SECRETS[name]}, inner={"deep": [{name: SECRETS[name]}]})
    (line,) = lines()
    assert line[name] == logs.REDACTED
    assert line["inner"]["deep"][0][name] == logs.REDACTED


def test_numbers_about_secrets_are_not_secret(lines: Lines) -> None:
    structlog.get_logger("easel.test").info("x", prompt_tokens=77)
    assert lines()[0]["prompt_tokens"] == 77


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://:hunter2@127.0.0.1:6379/0", "hunter2"),
        ("postgresql://easel_app:hunter2@db/easel refused", "hunter2"),
        ("sent Authorization: Bearer abc.def-ghi twice", "abc.def-ghi"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln failed", "eyJhbGciOiJIUzI1NiJ9"),
        ("secret es_abcdefgh12345 failed", "es_abcdefgh12345"),
        ("body b'a=1\\r\\nes_" + "x" * 43 + "' failed", "es_" + "x" * 43),
    ],
)
def test_a_secret_inside_of_a_text_is_cut_out(lines: Lines, text: str, secret: str) -> None:
    logging.getLogger("anything").warning(text)
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("easel.test").exception("failed", other=text)
    for line in lines():
        assert secret not in json.dumps(line)
        assert logs.REDACTED in json.dumps(line)


def test_an_ordinary_text_stays_as_it_is(lines: Lines) -> None:
    text = "The bearer of eyes.are.blue at https://example.com/a:b@c yes_indeed_it_is"
    logging.getLogger("anything").warning(text)
    assert lines()[0]["message"] == text


def test_an_exception_is_told_with_its_cause(lines: Lines) -> None:
    try:
        try:
            raise KeyError("cause")
        except KeyError as error:
            raise ValueError("effect") from error
    except ValueError as error:
        structlog.get_logger("easel.test").error("failed", exc_info=error)
        logging.getLogger("anything").exception("failed")
    for line in lines():
        assert (line["error.type"], line["error.message"]) == ("ValueError", "effect")
        assert "KeyError: 'cause'" in line["error.stack_trace"]


def test_one_event_is_one_line_whatever_it_holds(lines: Lines) -> None:
    structlog.get_logger("easel.test").info("a\nb\x00\ud800", thing=object(), raw=b"\xff")
    logging.getLogger("anything").warning("100% sure")
    assert [line["message"] for line in lines()] == ["a\nb\x00\ud800", "100% sure"]


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    structlog.get_logger("easel.test").debug("quiet")
    logging.getLogger("django.request").warning("Not Found: /media/token")
    logging.getLogger("botocore").info("quiet")
    assert lines() == []


def test_the_console_form_is_for_people_and_redacts_too(lines: Lines) -> None:
    console = configure("console")
    structlog.get_logger("easel.test").info("signed in", password="hunter2", email="a@example.com")
    logging.getLogger("anything").warning("by the library")
    written = console.getvalue()
    assert "signed in" in written
    assert "a@example.com" in written
    assert "by the library" in written
    assert "hunter2" not in written


def test_a_request_handler_may_be_any_view(lines: Lines) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        structlog.get_logger("easel.test").info("inside")
        return HttpResponse()

    RequestIdentity(view)(RequestFactory().get("/", headers={"x-request-id": "mine"}))
    assert [(line["message"], line["request_id"]) for line in lines()] == [("inside", "mine"), ("answered", "mine")]
