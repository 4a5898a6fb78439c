"""Streams however they are cut, and deliveries whoever sent them."""

import base64
import json
import time
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Signer

from easel_client import InvalidSignature, RetryPolicy, Webhook, errors
from easel_client.sse import Event, EventParser
from tests.sdk.scripted import Lasting, World, play, problem

STREAM = (
    b"retry: 2000\n\n: how things stand\n\n"
    b'id: 1-0\nevent: status\ndata: {"generation": "g", "status": "running"}\n\n'
    b': ping\n\nevent: progress\r\ndata: {"generation": "g",\r\ndata:  "progress": 0.5}\r\n\r\n'
    b'id: 2-0\nevent: preview\ndata: {"generation": "g", "image": "QUFB"}\n\n'
    b'id: 3-0\nevent: done\ndata: {"generation": "g", "status": "completed"}\n\n'
)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("size", [1, 2, 7, 64, len(STREAM)])
def test_events_are_the_same_however_the_stream_is_cut(size: int) -> None:
    parser = EventParser()
    chunks = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    assert [event.kind for event in events] == ["status", "progress", "preview", "done"]
    assert [event.id for event in events] == ["1-0", "", "2-0", "3-0"]
    assert (events[1].progress, events[2].image, events[3].status) == (0.5, b"AAA", "completed")
    assert {event.generation_id for event in events} == {"g"}


def test_a_stream_that_is_none_of_easels_is_named_as_such() -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        list(EventParser().feed(b"data: hello\n\n"))


def streamed(content: bytes | Lasting) -> httpx.Response:
    said = {"stream": content} if isinstance(content, Lasting) else {"content": content}
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, **said)  # type: ignore[arg-type]


def test_a_broken_stream_goes_on_after_its_last_event(kind: str) -> None:
    world = World()
    half = STREAM.index(b": ping")
    end = b'event: end\ndata: {"reason": "stopping"}\n\n'
    world.answers(streamed(STREAM[:half] + end), httpx.ReadError("reset"), streamed(STREAM[half:]))
    events: list[Event] = play(kind, world, lambda easel: easel.stream("g"))
    assert [event.kind for event in events] == ["status", "progress", "preview", "done"]
    assert [request.headers.get("last-event-id") for request in world.seen] == [None, "1-0", "1-0"]


def test_a_stream_that_never_says_anything_is_given_up(kind: str) -> None:
    world = World()
    world.answers(*[streamed(b": ping\n\n")] * 8)
    with pytest.raises(errors.ConnectionFailed, match="8 times without an event"):
        play(kind, world, lambda easel: easel.stream("g"))


@pytest.mark.parametrize("attempts", [1, 8])
def test_an_idle_stream_that_ends_with_its_token_goes_on(kind: str, attempts: int) -> None:
    world = World()
    end = b'event: end\ndata: {"reason": "expired"}\n\n'
    world.answers(*[streamed(b"retry: 2000\n\n: ping\n\n" + end)] * 20, streamed(STREAM))
    events: list[Event] = play(kind, world, lambda easel: easel.stream("g"), retry=RetryPolicy(attempts=attempts))
    assert events[-1].kind == "done"
    assert world.slept == [0.5] * 20  # not all clients at once, where a server stops


def test_an_idle_stream_that_is_cut_now_and_then_goes_on(kind: str) -> None:
    world = World()
    pings = [(0.0, b"retry: 2000\n\n"), (15.0, b": ping\n\n"), (15.0, b": ping\n\n")]
    world.answers(*[streamed(Lasting(world, *pings)) for _ in range(20)], streamed(STREAM))
    events: list[Event] = play(kind, world, lambda easel: easel.stream("g"))
    assert events[-1].kind == "done"


def test_a_stream_that_hangs_until_it_is_cut_is_given_up(kind: str) -> None:
    world = World()
    hanging = [(0.0, b"retry: 2000\n\n"), (45.0, b"")]
    world.answers(*[streamed(Lasting(world, *hanging)) for _ in range(8)])
    with pytest.raises(errors.ConnectionFailed, match="8 times without an event"):
        play(kind, world, lambda easel: easel.stream("g"))


@pytest.mark.parametrize("attempts", [1, 8])
def test_a_stream_on_which_nothing_happens_ends_when_its_time_is_over(kind: str, attempts: int) -> None:
    world = World()
    pings = Lasting(world, *[(15.0, b": ping\n\n")] * 9)
    world.answers(streamed(pings))
    retry = RetryPolicy(attempts=attempts)
    assert play(kind, world, lambda easel: easel.stream("g", timeout=40), retry=retry) == []
    assert world.moment == 1045
    assert world.seen[0].extensions["timeout"]["read"] == 40
    silent = Lasting(world, (10.0, b"retry: 2000\n\n"), (30.0, b""))  # until it is cut
    world.answers(streamed(silent))
    assert play(kind, world, lambda easel: easel.stream("g", timeout=40), retry=retry) == []


def test_a_stream_of_what_is_not_there_is_not_found(kind: str) -> None:
    with pytest.raises(errors.NotFound):
        play(kind, World().answers(problem(404, "not_found")), lambda easel: easel.stream("g"))


# --- Webhooks --------------------------------------------------------------------------------------------

SECRETS = ["whsec_" + base64.b64encode(bytes([each] * 24)).decode() for each in (1, 2)]
BODY = json.dumps({"type": "generation.completed", "timestamp": "2026-01-01T00:00:00Z", "data": {"id": "0193"}})


def signed(secret: str, *, at: float | None = None, body: str = BODY) -> dict[str, str]:
    """By the reference library, not by ours."""
    moment = datetime.fromtimestamp(at or time.time(), UTC)
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": Signer(secret).sign("evt_1", moment, body),
    }


def test_a_delivery_of_easels_is_an_event() -> None:
    event = Webhook(SECRETS[0]).verify(BODY.encode(), signed(SECRETS[0]))
    assert (event.id, event.type, event.generation_id) == ("evt_1", "generation.completed", "0193")


def test_both_secrets_of_a_rotation_are_good_and_so_are_several_signatures() -> None:
    for secret in SECRETS:
        assert Webhook(SECRETS).verify(BODY, signed(secret)).id == "evt_1"
    headers = signed(SECRETS[0])
    headers["Webhook-Signature"] = f"v1a,xyz {signed(SECRETS[1])['Webhook-Signature']} {headers['Webhook-Signature']}"
    assert Webhook(SECRETS[0]).verify(BODY, headers).id == "evt_1"


@pytest.mark.parametrize(
    ("body", "changed"),
    [(BODY.replace("0193", "0194"), {}), (BODY, {"Webhook-Id": "evt_2"}), (BODY, {"Webhook-Timestamp": "soon"}),
     (BODY, {"Webhook-Signature": "v1,AAAA"}), (BODY, {"Webhook-Signature": "v1,ü"}),
     (BODY, signed(SECRETS[1])), (BODY, {"Webhook-Id": "evt_\udcff"})],
    ids=["body", "id", "time", "signature", "not ascii", "another's", "not text"],
)  # fmt: skip
def test_whatever_is_not_as_easel_sent_it_is_refused(body: str, changed: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        Webhook(SECRETS[0]).verify(body, signed(SECRETS[0]) | changed)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_" + base64.b64encode(b"fifteen bytes..").decode(), "whsec_ü"])
def test_a_secret_that_anybody_could_guess_verifies_nothing(secret: str) -> None:
    for given in (secret, [SECRETS[0], secret]):
        with pytest.raises(ValueError, match="secret is"):
            Webhook(given)


@pytest.mark.parametrize("off", [-400, 400])
def test_a_delivery_of_another_time_is_refused(off: int) -> None:
    with pytest.raises(InvalidSignature, match="too old"):
        Webhook(SECRETS[0]).verify(BODY, signed(SECRETS[0], at=time.time() + off))


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_delivery_without_its_headers_is_refused(missing: str) -> None:
    headers = signed(SECRETS[0])
    del headers[missing]
    with pytest.raises(InvalidSignature, match=missing.lower()):
        Webhook(SECRETS[0]).verify(BODY, headers)


def test_a_signed_body_that_is_no_event_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        Webhook(SECRETS[0]).verify("[]", signed(SECRETS[0], body="[]"))
