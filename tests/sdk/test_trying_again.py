"""What a client does when an answer is bad or does not come: the same on both clients."""

import asyncio
import json
import math
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx
import pytest

from easel import sealed_call
from easel.crypto import SM4_GCM
from easel_client import AsyncEasel, CircuitBreaker, CircuitOpen, Easel, RetryPolicy, Timeouts, errors
from easel_client.cli import exits
from easel_client.cli.remedies import remedy_of
from tests.sdk.scripted import KEY, SECRET, Act, World, accepted, generation, key_of, play, problem, timeouts, token

RESET = httpx.ReadError("Connection reset by peer")
REFUSED = httpx.ConnectError("Connection refused")


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    "trouble",
    [problem(500, "internal_error"), problem(503, "overloaded"), httpx.Response(502, text="<html>"),
     httpx.Response(504), RESET, REFUSED, httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")],
    ids=["500", "503", "502", "504", "reset", "refused", "slow", "cut"],
)  # fmt: skip
def test_trouble_is_met_by_another_attempt_under_the_same_key(kind: str, world: World, trouble: object) -> None:
    world.answers(trouble, trouble, accepted())  # type: ignore[arg-type]
    made = play(kind, world, lambda easel: easel.submit("a red apple", steps=20))
    assert made.status == "queued"
    assert world.sent == ["POST /v1/generations"] * 3
    assert len({key_of(request) for request in world.seen}) == 1
    assert {request.headers["x-request-id"] for request in world.seen} == {world.seen[0].headers["x-request-id"]}
    assert [json.loads(request.content) for request in world.seen] == [{"prompt": "a red apple", "steps": 20}] * 3
    assert world.slept == [0.5, 1.0]  # exponential; the jitter is at its full here


def test_two_calls_have_two_keys_and_ones_own_is_used(kind: str, world: World) -> None:
    world.answers(accepted(), accepted(), accepted())
    play(kind, world, lambda easel: easel.submit("a"))
    play(kind, world, lambda easel: easel.submit("a"))
    play(kind, world, lambda easel: easel.submit("a", idempotency_key="order-17"))
    keys = [key_of(request) for request in world.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "order-17"


@pytest.mark.parametrize("key", ["Äpfel", "order 17\n", "x" * 256], ids=["not ascii", "a line", "too long"])
def test_a_key_that_no_header_can_hold_is_named_before_anything_is_sent(kind: str, world: World, key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        play(kind, world, lambda easel: easel.submit("a", idempotency_key=key))
    assert world.sent == []


def test_retry_after_is_waited_out_before_the_jitter(kind: str, world: World) -> None:
    world.answers(problem(429, "rate_limited", headers={"Retry-After": "7"}), accepted())
    play(kind, world, lambda easel: easel.submit("a"))
    assert world.slept == [7.5]


def test_retry_after_may_be_a_date(kind: str, world: World) -> None:
    then = datetime.fromtimestamp(1_700_000_000 + world.moment, UTC) + timedelta(seconds=9)
    world.answers(problem(503, "overloaded", headers={"Retry-After": format_datetime(then, usegmt=True)}), accepted())
    play(kind, world, lambda easel: easel.submit("a"))
    assert world.slept == [pytest.approx(9.5, abs=1)]


def test_what_would_last_beyond_the_calls_patience_is_told_at_once(kind: str, world: World) -> None:
    world.answers(problem(429, "quota_exceeded", headers={"Retry-After": "86400"}))
    with pytest.raises(errors.QuotaExceeded) as caught:
        play(kind, world, lambda easel: easel.submit("a"))
    assert caught.value.retry_after == 86400
    assert world.slept == []


def test_attempts_end(kind: str, world: World) -> None:
    world.answers(*[RESET] * 3)
    with pytest.raises(errors.ConnectionFailed, match="reset by peer") as caught:
        play(kind, world, lambda easel: easel.submit("a"), retry=RetryPolicy(attempts=3))
    assert caught.value.attempts == 3
    assert isinstance(caught.value.__cause__, httpx.ReadError)


def test_patience_ends(kind: str, world: World) -> None:
    world.answers(*[problem(500, "internal_error")] * 20)
    with pytest.raises(errors.InternalError):
        play(kind, world, lambda easel: easel.submit("a"), retry=RetryPolicy(attempts=99, patience=10))
    assert sum(world.slept) <= 10


@pytest.mark.parametrize(
    ("status", "code", "kind_of_error"),
    [(400, "invalid_request", errors.InvalidRequest), (402, "insufficient_credits", errors.InsufficientCredits),
     (403, "insufficient_scope", errors.InsufficientScope), (404, "not_found", errors.NotFound),
     (409, "idempotency_conflict", errors.IdempotencyConflict), (422, "content_rejected", errors.ContentRejected)],
)  # fmt: skip
def test_ones_own_mistakes_are_told_at_once(
    kind: str, world: World, status: int, code: str, kind_of_error: type[errors.APIError]
) -> None:
    fields = [{"field": "steps", "code": "max_value", "detail": "At most 150."}]
    world.answers(problem(status, code, errors=fields))
    with pytest.raises(kind_of_error) as caught:
        play(kind, world, lambda easel: easel.submit("a"))
    error = caught.value
    assert (error.status, error.code, error.request_id, error.attempts) == (status, code, "req_1", 1)
    assert error.errors == (errors.FieldError("steps", "max_value", "At most 150."),)
    assert "At most 150." in str(error)


@pytest.mark.parametrize(
    "act",
    [lambda easel: easel.keys.create("ci", ["generations:read"]), lambda easel: easel.keys.rotate("ek_live_x"),
     lambda easel: easel.webhooks.create("https://example.com", ["generation.completed"]),
     lambda easel: easel.webhooks.rotate_secret("0193-e")],
    ids=["create a key", "rotate a key", "create an endpoint", "rotate its secret"],
)  # fmt: skip
def test_a_secret_whose_answer_was_lost_is_asked_for_again_under_the_same_key(
    kind: str, world: World, act: Act
) -> None:
    """Easel keeps the answer for a while: nothing is made twice, and no secret is lost."""
    good = httpx.Response(201, json={"id": "x", "secret": "es_x"})
    world.answers(RESET, problem(500, "internal_error"), good)
    made = play(kind, world, act)
    assert made.secret == "es_x"
    assert "es_x" not in repr(made)
    assert len({key_of(request) for request in world.seen}) == 1
    world.answers(good)
    play(kind, world, act)
    assert key_of(world.seen[-1]) != key_of(world.seen[0])


def test_what_would_be_done_twice_is_not_tried_again_where_the_answer_was_lost(kind: str, world: World) -> None:
    """A second POST would send a second test delivery."""
    world.answers(RESET)
    with pytest.raises(errors.ConnectionFailed):
        play(kind, world, lambda easel: easel.webhooks.test("0193-e"))
    world.answers(REFUSED, problem(503, "overloaded"), httpx.Response(202, json={"id": "0193-d"}))
    assert play(kind, world, lambda easel: easel.webhooks.test("0193-e")).id == "0193-d"


def test_an_erasure_whose_answer_was_lost_is_not_an_error(kind: str, world: World) -> None:
    world.answers(RESET, problem(404, "not_found"))
    play(kind, world, lambda easel: easel.delete("0193-a"))
    world.answers(problem(404, "not_found"))
    with pytest.raises(errors.NotFound):
        play(kind, world, lambda easel: easel.delete("0193-a"))


@pytest.mark.parametrize(
    "before", [problem(401, "token_expired"), problem(429, "rate_limited"), REFUSED], ids=["401", "429", "refused"]
)
def test_what_no_attempt_can_have_erased_is_not_found(kind: str, world: World, before: object) -> None:
    """Else a key that was mistyped would count as revoked."""
    world.answers(before, problem(404, "not_found"))  # type: ignore[arg-type]
    with pytest.raises(errors.NotFound):
        play(kind, world, lambda easel: easel.keys.revoke("ek_live_x"))


def test_a_cancel_whose_answer_was_lost_is_not_an_error(kind: str, world: World) -> None:
    world.answers(RESET, problem(409, "already_finished", generation_status="canceled"))
    assert play(kind, world, lambda easel: easel.cancel("0193-a")) == "canceled"
    world.answers(problem(409, "already_finished", generation_status="completed"))
    with pytest.raises(errors.AlreadyFinished):
        play(kind, world, lambda easel: easel.cancel("0193-a"))


# --- Tokens ----------------------------------------------------------------------------------------------


def test_a_token_is_asked_for_once_and_kept(kind: str, world: World) -> None:
    world.answers(accepted(), accepted("completed"))
    play(kind, world, lambda easel: easel.generate("a"))
    assert world.token_requests == 1
    assert {request.headers["authorization"] for request in world.seen} == {"Bearer token-1"}


def test_a_token_is_renewed_before_it_expires(kind: str, world: World) -> None:
    def later(request: httpx.Request) -> httpx.Response:
        world.moment += 3550  # of 3600: within the margin
        return problem(503, "overloaded")

    world.answers(later, accepted())
    play(kind, world, lambda easel: easel.submit("a"), retry=RetryPolicy(patience=10_000))
    assert [request.headers["authorization"] for request in world.seen] == ["Bearer token-1", "Bearer token-2"]


def test_an_expired_token_is_replaced_and_the_call_repeated(kind: str, world: World) -> None:
    world.answers(accepted(), problem(401, "token_expired"), accepted("completed"))
    play(kind, world, lambda easel: easel.generate("a"))
    assert [request.headers["authorization"][-1] for request in world.seen] == ["1", "1", "2"]
    assert world.slept in ([], [0.75])  # no pause for the token; one between polls


def test_a_key_that_opens_nothing_is_told_after_one_more_token(kind: str, world: World) -> None:
    world.answers(*[problem(401, "token_invalid")] * 2)
    with pytest.raises(errors.TokenInvalid):
        play(kind, world, lambda easel: easel.submit("a"))
    assert world.token_requests == 2


def test_a_revoked_key_is_told_at_once(kind: str, world: World) -> None:
    world.answers(problem(401, "key_revoked"))
    with pytest.raises(errors.KeyRevoked):
        play(kind, world, lambda easel: easel.submit("a"))
    assert world.token_requests == 1


def test_a_wrong_secret_is_told_at_once(kind: str, world: World) -> None:
    refused = {"error": "invalid_client", "error_description": "The client is not known."}
    world.tokens = [httpx.Response(401, json=refused)]
    with pytest.raises(errors.InvalidClient, match="not known"):
        play(kind, world, lambda easel: easel.submit("a"))
    assert world.seen == []


def test_a_key_that_may_not_be_used_from_here_is_told_so_by_the_token_endpoint_too(kind: str, world: World) -> None:
    said = {"error": "unauthorized_client", "error_description": "This API key may not be used from this address."}
    world.tokens = [httpx.Response(400, json=said)]
    with pytest.raises(errors.AddressNotAllowed, match="this address") as caught:
        play(kind, world, lambda easel: easel.submit("a"))
    assert exits.code_of(caught.value) == exits.NOT_LET_IN
    assert "network" in remedy_of(caught.value)


def test_the_token_endpoint_is_tried_again_too(kind: str, world: World) -> None:
    world.tokens = [problem(503, "overloaded"), token("good")]
    world.answers(accepted())
    play(kind, world, lambda easel: easel.submit("a"))
    assert world.seen[0].headers["authorization"] == "Bearer good"


def test_self_signed_tokens_are_another_for_each_attempt(kind: str, world: World) -> None:
    world.answers(RESET, problem(401, "token_replayed"), accepted())
    play(kind, world, lambda easel: easel.submit("a"), self_signed=True)
    assert len({request.headers["authorization"] for request in world.seen}) == 3
    assert world.token_requests == 0


def test_calls_do_not_wait_one_behind_another_for_a_token_that_never_comes(kind: str) -> None:
    """The token endpoint takes connections and says nothing."""
    patient = {"timeouts": Timeouts(read=0.5), "retry": RetryPolicy(patience=1)}
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url, begun = f"http://127.0.0.1:{silent.getsockname()[1]}", time.monotonic()
        if kind == "async":
            ended = anyio.run(tasks_without_a_token, url, patient)
        else:
            ended = threads_without_a_token(url, patient)
    assert ended == [errors.TimedOut] * 20
    assert time.monotonic() - begun < 10


def threads_without_a_token(url: str, options: dict[str, Any]) -> list[type[BaseException] | None]:
    with Easel(url, KEY, SECRET, **options) as easel, ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(easel.models) for _ in range(20)]
        return [type(call.exception()) for call in calls]


async def tasks_without_a_token(url: str, options: dict[str, Any]) -> list[type[BaseException] | None]:
    async with AsyncEasel(url, KEY, SECRET, **options) as easel:
        calls = [easel.models() for _ in range(20)]
        return [type(each) for each in await asyncio.gather(*calls, return_exceptions=True)]


def test_a_call_without_patience_asks_for_its_token_once(kind: str, world: World) -> None:
    world.answers(accepted())
    assert play(kind, world, lambda easel: easel.submit("a"), retry=RetryPolicy(patience=0)).status == "queued"


# --- The circuit -----------------------------------------------------------------------------------------


def breaker(world: World, **options: object) -> CircuitBreaker:
    return CircuitBreaker(clock=world.clock, volume=4, cool_down=5, **options)  # type: ignore[arg-type]


def test_an_open_circuit_sends_nothing_and_fails_at_once_where_that_is_wanted(kind: str, world: World) -> None:
    circuit = breaker(world, fail_fast=True)
    world.answers(*[RESET] * 4)
    with pytest.raises(CircuitOpen) as caught:  # the call itself opens it
        play(kind, world, lambda easel: easel.submit("a"), breaker=circuit)
    assert circuit.is_open
    assert 0 < caught.value.retry_after <= 5
    with pytest.raises(CircuitOpen):
        play(kind, world, lambda easel: easel.submit("a"), breaker=circuit)
    assert len(world.seen) == 3  # with the token that was given before, three of four failed


def test_a_call_without_a_token_closes_a_circuit_that_fails_fast_once_it_has_cooled_down(
    kind: str, world: World
) -> None:
    """Asking for the token is the one attempt that the circuit lets through."""
    circuit = breaker(world, fail_fast=True)
    for _ in range(4):
        circuit.failed()
    with pytest.raises(CircuitOpen):
        play(kind, world, lambda easel: easel.submit("a"), breaker=circuit)
    assert world.token_requests == 0
    world.moment += 5
    world.answers(accepted())
    assert play(kind, world, lambda easel: easel.submit("a"), breaker=circuit).status == "queued"
    assert not circuit.is_open
    assert world.slept == []


def test_a_token_that_expires_while_the_circuit_is_open_is_not_used(kind: str, world: World) -> None:
    circuit = CircuitBreaker(clock=world.clock, volume=2, cool_down=90)  # one of two, with the token
    world.tokens = [token("short", seconds=120)]  # is used for 60
    world.answers(RESET, accepted())
    options = {"breaker": circuit, "retry": RetryPolicy(patience=1000)}
    play(kind, world, lambda easel: easel.submit("a"), **options)
    assert [request.headers["authorization"] for request in world.seen] == ["Bearer short", "Bearer token-2"]


def test_a_patient_call_waits_for_the_circuit_and_closes_it(kind: str, world: World) -> None:
    circuit = breaker(world)
    world.answers(*[RESET] * 4, accepted())
    play(kind, world, lambda easel: easel.submit("a"), breaker=circuit)
    assert not circuit.is_open
    assert sum(world.slept) >= 5


def test_an_open_circuit_ends_a_call_whose_patience_is_shorter(kind: str, world: World) -> None:
    circuit = breaker(world)
    for _ in range(4):
        circuit.failed()
    with pytest.raises(CircuitOpen):
        play(kind, world, lambda easel: easel.submit("a"), breaker=circuit, retry=RetryPolicy(patience=1))
    assert world.seen == []


def test_a_busy_server_and_a_model_that_is_away_open_no_circuit(kind: str, world: World) -> None:
    circuit = breaker(world)
    world.answers(*[problem(429, "rate_limited")] * 5, *[problem(503, "model_unavailable")] * 2, accepted())
    play(kind, world, lambda easel: easel.submit("a"), breaker=circuit, retry=RetryPolicy(patience=1000))
    assert not circuit.is_open


def sealed(answer: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """As Easel answers a sealed request."""

    def seal(request: httpx.Request) -> httpx.Response:
        content_type, moment = answer.headers["Content-Type"], "1700000000"
        said = sealed_call.answer_data(
            method=request.method, path=request.url.raw_path.decode(), key_id=KEY, timestamp=moment,
            status=answer.status_code, content_type=content_type, request_nonce=request.content[29:41],
        )  # fmt: skip
        envelope = sealed_call.seal(
            answer.content, SECRET.encode(), said, direction="answer", version=SM4_GCM, key_id=KEY
        )
        headers = {"Content-Type": sealed_call.MEDIA_TYPE, "Easel-Content-Type": content_type}
        return httpx.Response(
            answer.status_code, content=envelope.packed, headers={**headers, "Easel-Timestamp": moment}
        )

    return seal


def test_a_model_that_is_away_opens_no_circuit_under_seal_either(kind: str, world: World) -> None:
    away = [sealed(problem(503, "model_unavailable"))] * 5
    world.answers(*away, sealed(accepted()))
    options = {"breaker": breaker(world, fail_fast=True), "sealed": True}
    assert play(kind, world, lambda easel: easel.submit("a"), **options).status == "queued"


def test_an_error_says_whether_what_was_asked_for_may_have_been_done(kind: str, world: World) -> None:
    world.answers(*[RESET] * 4)
    with pytest.raises(CircuitOpen) as caught:
        play(kind, world, lambda easel: easel.submit("a"), breaker=breaker(world, fail_fast=True))
    assert caught.value.maybe_done
    world.tokens = [problem(500, "internal_error") for _ in range(8)]
    with pytest.raises(errors.InternalError) as before:
        play(kind, world, lambda easel: easel.submit("a"))
    assert not before.value.maybe_done


@pytest.mark.parametrize("answer", [httpx.Response(202, text="<html>"), httpx.Response(524)], ids=["garbled", "524"])
def test_what_came_through_before_the_answer_was_spoiled_may_have_been_done(
    kind: str, world: World, answer: httpx.Response
) -> None:
    world.answers(answer)
    with pytest.raises(errors.EaselError) as caught:
        play(kind, world, lambda easel: easel.submit("a"))
    assert caught.value.maybe_done


# --- What is sent ----------------------------------------------------------------------------------------


def test_nothing_waits_forever(kind: str, world: World) -> None:
    world.answers(accepted(), accepted("completed"))
    play(kind, world, lambda easel: easel.generate("a", timeout=20), timeouts=timeouts())
    assert world.seen[0].extensions["timeout"] == {"connect": 1, "read": 22, "write": 3, "pool": 4}


def test_waiting_ends_at_its_deadline_and_the_generation_can_be_waited_for_again(kind: str, world: World) -> None:
    def held(request: httpx.Request) -> httpx.Response:
        world.moment += float(request.headers["prefer"].removeprefix("wait="))
        headers = {"Preference-Applied": request.headers["prefer"]}
        return httpx.Response(200, json=generation("running"), headers=headers)

    world.answers(*[held] * 5)
    with pytest.raises(errors.WaitTimedOut) as caught:
        play(kind, world, lambda easel: easel.wait("0193-a", timeout=60))
    assert caught.value.generation.id == "0193-a"
    assert world.moment == pytest.approx(1085, abs=26)
    assert world.slept == []


def test_a_wait_may_last_for_ever(kind: str, world: World) -> None:
    world.answers(accepted(), accepted(), accepted("completed"))
    assert play(kind, world, lambda easel: easel.generate("a", timeout=math.inf)).status == "completed"
    assert world.seen[0].headers["prefer"] == "wait=25"


@pytest.mark.parametrize(
    "trouble", [RESET, problem(503, "overloaded"), problem(429, "rate_limited")], ids=["reset", "503", "429"]
)
@pytest.mark.parametrize("attempts", [1, 8])
def test_an_outage_within_the_wait_is_waited_out(kind: str, world: World, trouble: object, attempts: int) -> None:
    """The generation goes on meanwhile."""

    def until(request: httpx.Request) -> httpx.Response | Exception:
        if world.moment < 1080:
            world.script.insert(0, until)
            return trouble  # type: ignore[return-value]
        return accepted("completed")

    world.answers(accepted(), until)
    made = play(kind, world, lambda easel: easel.generate("a", timeout=600), retry=RetryPolicy(attempts=attempts))
    assert made.status == "completed"
    assert 80 <= sum(world.slept) < 120
    assert world.sent.count("POST /v1/generations") == 1


@pytest.mark.parametrize(
    ("trouble", "kind_of_error"),
    [(RESET, errors.ConnectionFailed), (problem(404, "not_found"), errors.NotFound),
     (httpx.Response(200, text="<html>"), errors.UnexpectedAnswer)],
    ids=["reset", "404", "a page"],
)  # fmt: skip
def test_an_error_after_a_generation_was_made_says_which_one(
    kind: str, world: World, trouble: object, kind_of_error: type[errors.EaselError]
) -> None:
    world.answers(accepted(id="0193-b"), *[trouble] * 20)  # type: ignore[list-item]
    with pytest.raises(kind_of_error) as caught:
        play(kind, world, lambda easel: easel.generate("a", timeout=60))
    assert caught.value.generation_id == "0193-b"
    assert sum(world.slept) <= 65


def test_waiting_does_not_go_on_behind_a_circuit_that_fails_fast(kind: str, world: World) -> None:
    world.answers(accepted(), *[RESET] * 4)
    with pytest.raises(CircuitOpen) as caught:
        play(kind, world, lambda easel: easel.generate("a"), breaker=breaker(world, fail_fast=True))
    assert caught.value.generation_id == "0193-a"
    assert sum(world.slept) < 10


def test_a_token_that_has_expired_is_renewed_in_the_last_moment_of_a_wait(kind: str, world: World) -> None:
    def expired(request: httpx.Request) -> httpx.Response:
        world.moment += 1
        return problem(401, "token_expired")

    world.answers(expired, accepted("completed"))
    assert play(kind, world, lambda easel: easel.wait("0193-a", timeout=0)).status == "completed"


def test_a_token_that_cannot_be_had_for_a_while_does_not_end_the_wait(kind: str, world: World) -> None:
    def later(request: httpx.Request) -> httpx.Response:
        world.moment += 2
        return accepted()

    away = [problem(503, "overloaded") for _ in range(3)]
    world.tokens = [token("short", seconds=1), *away, token("good")]
    world.answers(later, accepted("completed"))
    made = play(kind, world, lambda easel: easel.generate("a"), retry=RetryPolicy(attempts=2))
    assert made.status == "completed"


@pytest.mark.parametrize(
    ("status", "kind_of_error"),
    [("failed", errors.GenerationFailed), ("canceled", errors.GenerationCanceled),
     ("rejected", errors.GenerationRejected), ("in_review", errors.GenerationInReview)],
)  # fmt: skip
def test_an_ending_without_pictures_is_an_exception_of_its_own(
    kind: str, world: World, status: str, kind_of_error: type[errors.GenerationNotCompleted]
) -> None:
    world.answers(accepted(status, error={"code": "out_of_memory", "detail": "Too large."}))
    with pytest.raises(kind_of_error) as caught:
        play(kind, world, lambda easel: easel.generate("a"))
    assert caught.value.generation.status == status
    assert getattr(caught.value, "code", "out_of_memory") == "out_of_memory"


@pytest.mark.parametrize("listed", [["No such route."], {"base": ["Forbidden"]}, 5, "Forbidden", None])
def test_a_gateways_own_error_is_one_of_its_status(kind: str, world: World, listed: object) -> None:
    world.answers(httpx.Response(403, json={"errors": listed}))
    with pytest.raises(errors.PermissionDenied, match="HTTP 403") as caught:
        play(kind, world, lambda easel: easel.models())
    assert caught.value.errors == ()


def test_another_service_at_the_address_is_named_as_such(kind: str, world: World) -> None:
    world.answers(httpx.Response(200, text="<html>It works!</html>"))
    with pytest.raises(errors.UnexpectedAnswer, match="address of an Easel"):
        play(kind, world, lambda easel: easel.models())


@pytest.mark.parametrize(
    "act", [lambda easel: easel.models(), lambda easel: easel.delete("0193-a"), lambda easel: easel.stream("0193-a")],
    ids=["read", "erased", "followed"],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_no_success_and_says_where_it_leads(kind: str, world: World, act: Act, status: int) -> None:
    world.answers(httpx.Response(status, headers={"Location": "https://easel.test/sign-in"}))
    with pytest.raises(errors.UnexpectedAnswer, match=r"leads to https://easel\.test/sign-in"):
        play(kind, world, act)
    assert len(world.seen) == 1


@pytest.mark.parametrize(
    ("act", "sent"),
    [(lambda easel: easel.cancel("x/../../keys"), "POST /v1/generations/x%2F..%2F..%2Fkeys/cancel"),
     (lambda easel: easel.delete("../keys/ek_live_x"), "DELETE /v1/generations/..%2Fkeys%2Fek_live_x"),
     (lambda easel: easel.keys.get("a?limit=1#b"), "GET /v1/keys/a%3Flimit%3D1%23b"),
     (lambda easel: easel.webhooks.test("a\nb"), "POST /v1/webhooks/a%0Ab/test")],
    ids=["cancel", "delete", "key", "endpoint"],
)  # fmt: skip
def test_an_id_leads_to_no_other_call(kind: str, world: World, act: Act, sent: str) -> None:
    world.answers(problem(404, "not_found"))
    with pytest.raises(errors.NotFound):
        play(kind, world, act)
    assert world.sent == [sent]


@pytest.mark.parametrize("id_", ["", ".", ".."])
def test_what_cannot_be_an_id_is_said_so_and_not_sent(kind: str, world: World, id_: str) -> None:
    """`POST /v1/generations/./cancel` would cancel all there is."""
    with pytest.raises(ValueError, match="is no id"):
        play(kind, world, lambda easel: easel.cancel(id_))
    with pytest.raises(ValueError, match="is no id"):
        play(kind, world, lambda easel: easel.keys.revoke(id_))
    assert world.sent == []


def test_a_text_and_a_picture_are_judged(kind: str, world: World) -> None:
    verdict = {"flagged": True, "action": "block", "categories": {"gore": True}, "category_scores": {"gore": 0.9}}
    world.answers(*[httpx.Response(200, json={"results": [verdict]})] * 2)
    assert play(kind, world, lambda easel: easel.moderate("words")).action == "block"
    assert play(kind, world, lambda easel: easel.moderate(b"\x89PNG")).categories == {"gore": True}
    assert [json.loads(request.content) for request in world.seen] == [{"input": "words"}, {"image": "iVBORw=="}]


def test_pages_are_followed_to_the_last_one(kind: str, world: World) -> None:
    pages = [{"data": [generation(id="1"), generation(id="2")], "next_cursor": "c d"},
             {"data": [generation(id="3")], "next_cursor": None}]  # fmt: skip
    world.answers(*[httpx.Response(200, json=page) for page in pages])
    found = play(kind, world, lambda easel: easel.list(status="completed"))
    assert [each.id for each in found] == ["1", "2", "3"]
    assert world.sent[1] == "GET /v1/generations?status=completed&limit=100&cursor=c+d"
