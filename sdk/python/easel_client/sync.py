"""The client for programs that wait: `Easel`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from easel_client import errors, records
from easel_client.breaker import CircuitBreaker
from easel_client.configuration import configuration
from easel_client.effects import (
    Alone,
    Broken,
    Effect,
    Emit,
    Raised,
    ReadMore,
    Send,
    Sleep,
    Steps,
    going_on,
    no_turn,
)
from easel_client.files import write_whole
from easel_client.operations import Operations
from easel_client.options import file_of
from easel_client.outcome import completed
from easel_client.policy import RetryPolicy, Timeouts
from easel_client.records import GenerationData, ImageData, read
from easel_client.sse import Event
from easel_client.transport import LIMITS, broken_by, reply_of, timeout_of

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from easel_client.options import Derived, Drawing, EndpointChange, Filter, KeyChange, KeyRules

T = TypeVar("T")

PATIENCE = 600.0  # seconds to wait for an ending where nothing else is said


@dataclass(frozen=True)
class Image(ImageData):
    generation_id: str
    _client: Easel = field(repr=False, compare=False)

    def read(self) -> bytes:
        """The file."""
        return self._client._run(self._client._operations.download(self.generation_id, self))

    def save(self, path: str | os.PathLike[str]) -> Path:
        return write_whole(path, self.read())

    def vary(self, *, idempotency_key: str | None = None, **options: Unpack[Derived]) -> Generation:
        """A generation of pictures like this one."""
        return self._client.vary(self.id, idempotency_key=idempotency_key, **options)

    def upscale(self, scale: float = 2.0, *, idempotency_key: str | None = None) -> Generation:
        return self._client.upscale(self.id, scale, idempotency_key=idempotency_key)


@dataclass(frozen=True)
class Generation(GenerationData):
    images: list[Image]
    _client: Easel = field(repr=False, compare=False)

    def wait(self, *, timeout: float = PATIENCE) -> Generation:
        return self._client.wait(self.id, timeout=timeout)

    def refresh(self) -> Generation:
        """As it stands now."""
        return self._client.get(self.id)

    def stream(self, *, timeout: float | None = None) -> Iterator[Event]:
        return self._client.stream(self.id, timeout=timeout)

    def cancel(self) -> str:
        return self._client.cancel(self.id)

    def delete(self) -> None:
        self._client.delete(self.id)


class Easel:
    """One API key at one Easel. Safe to share between threads, and unless `http` is given with forked processes. Close
    it, or use it in a `with`.

    What is not given comes from EASEL_URL, EASEL_API_KEY and EASEL_API_SECRET. `self_signed` signs each attempt's token
    here instead of asking for one, so that the secret never leaves the process. `sealed` (True or "sm4-gcm",
    "aes-256-gcm") also seals what is asked and answered.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        *,
        self_signed: bool = False,
        sealed: bool | str = False,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        breaker: CircuitBreaker | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        found = configuration(
            base_url, api_key, api_secret,
            self_signed=self_signed, sealed=sealed, retry=retry, timeouts=timeouts, breaker=breaker,
        )  # fmt: skip
        self.base_url, self._session = found.base_url, found.session
        self._operations = Operations(self._session)
        self._http, self._own = http or httpx.Client(limits=LIMITS), http is None
        self._alone, self._process = threading.Lock(), os.getpid()
        self.keys, self.webhooks = Keys(self), Webhooks(self)

    # --- Pictures --------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str,
        *,
        timeout: float = PATIENCE,
        idempotency_key: str | None = None,
        **options: Unpack[Drawing],
    ) -> Generation:
        """Draw, and return when it is drawn. Raises GenerationNotCompleted's kinds where there are no pictures."""
        steps = self._operations.generate(prompt, options, idempotency_key=idempotency_key, timeout=timeout)
        return completed(self._generation(self._run(steps)))

    def submit(self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[Drawing]) -> Generation:
        """Ask for pictures, and go on. Without an `idempotency_key` of yours each call makes another generation; the
        attempts of one call never do."""
        return self._generation(self._run(self._operations.submit(prompt, options, idempotency_key=idempotency_key)))

    def wait(self, generation: str | GenerationData, *, timeout: float = PATIENCE) -> Generation:
        """The generation with its pictures. Raises WaitTimedOut while it has none, and what says why it has none."""
        return completed(self._generation(self._run(self._operations.wait(_id(generation), timeout=timeout))))

    def get(self, generation: str | GenerationData) -> Generation:
        return self._generation(self._run(self._operations.get(_id(generation))))

    def status(self, generation: str | GenerationData) -> records.Status:
        return read(records.Status, self._run(self._operations.status(_id(generation))))

    def list(self, *, status: str | None = None, model: str | None = None) -> Iterator[Generation]:
        """All of them, newest first; pages are fetched as they are needed."""
        return map(self._generation, self._iterate(self._operations.list(status=status, model=model)))

    def search(self, words: str, *, limit: int | None = None) -> Sequence[str]:
        """Ids of the newest generations whose prompts hold every word."""
        found: Sequence[str] = self._run(self._operations.search(words, limit))
        return found

    def stream(self, generation: str | GenerationData, *, timeout: float | None = None) -> Iterator[Event]:
        """Its events as they happen, until `done`; or with the first sign of life after `timeout` seconds, which comes
        within 15 more."""
        return self._iterate(self._operations.events(_id(generation), timeout=timeout))

    def events(self) -> Iterator[Event]:
        """What happens to any generation of the account, for as long as you listen."""
        return self._iterate(self._operations.events(None))

    def cancel(self, generation: str | GenerationData) -> str:
        """`canceled`, or `running` where it stops within a step. Raises AlreadyFinished."""
        return self._run(self._operations.cancel(_id(generation)))

    def cancel_many(self, **conditions: Unpack[Filter]) -> records.Cancellation:
        """All that meet every condition; without one, everything unfinished."""
        return read(records.Cancellation, self._run(self._operations.cancel_many(conditions)))

    def delete(self, generation: str | GenerationData) -> None:
        """Erases its pictures and words, for good."""
        self._run(self._operations.delete(_id(generation)))

    def vary(self, image_id: str, *, idempotency_key: str | None = None, **options: Unpack[Derived]) -> Generation:
        return self._generation(self._run(self._operations.vary(image_id, options, idempotency_key=idempotency_key)))

    def upscale(self, image_id: str, scale: float = 2.0, *, idempotency_key: str | None = None) -> Generation:
        return self._generation(self._run(self._operations.upscale(image_id, scale, idempotency_key=idempotency_key)))

    # --- Before and around -----------------------------------------------------------------------------

    def quote(self, prompt: str = "", **options: Unpack[Drawing]) -> records.Quote:
        return read(records.Quote, self._run(self._operations.quote(prompt, options)))

    def moderate(self, given: str | bytes | os.PathLike[str]) -> records.Verdict:
        """What moderation says of a text, or of a picture's file. Nothing is drawn or charged."""
        content = given if isinstance(given, str) else file_of(given)
        return read(records.Verdict, self._run(self._operations.moderate(content)))

    def upload(self, picture: bytes | os.PathLike[str]) -> records.Input:
        """Keeps a picture; its id serves as `init_image` or `mask` of many requests."""
        return read(records.Input, self._run(self._operations.upload(file_of(picture))))

    def ticket(self, generation: str | GenerationData) -> records.Ticket:
        """Lets a browser follow this generation's events, without a token."""
        return read(records.Ticket, self._run(self._operations.ticket(_id(generation))))

    def models(self) -> Sequence[records.Model]:
        return [read(records.Model, each) for each in self._run(self._operations.models())]

    def samplers(self) -> Sequence[records.Sampler]:
        return [read(records.Sampler, each) for each in self._run(self._operations.samplers())]

    def account(self) -> records.Account:
        return read(records.Account, self._run(self._operations.account()))

    def usage(self, *, first: str | None = None, last: str | None = None, group_by: str | None = None) -> records.Usage:
        """Days are written 2026-01-31 (UTC). `group_by`: day, key, model, status, or several with commas."""
        return read(records.Usage, self._run(self._operations.usage(first=first, last=last, group_by=group_by)))

    # --- How -------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _generation(self, data: Any) -> Generation:
        bare = read(Generation, data, images=[], _client=self)
        bare.images.extend(
            read(Image, each, generation_id=bare.id, _client=self) for each in bare.raw.get("images") or ()
        )
        return bare

    def _after_a_fork(self) -> None:
        """A child has connections of its own: on its parent's each would read what was answered to the other. And who
        held the lock there does not give it back here."""
        if self._process != os.getpid():
            self._http = httpx.Client(limits=LIMITS) if self._own else self._http
            self._alone = threading.Lock()
            self._process = os.getpid()

    def _run(self, steps: Steps[T]) -> T:
        self._after_a_fork()
        answer: Any = None
        while True:
            try:
                effect = going_on(steps, answer)
            except StopIteration as stop:
                value: T = stop.value
                return value
            answer = self._perform(effect)

    def _iterate(self, steps: Steps[None]) -> Iterator[Any]:
        """What the steps emit. Their stream is open as long as somebody iterates."""
        self._after_a_fork()
        stream = _Stream(self)
        answer: Any = None
        try:
            while True:
                try:
                    effect = going_on(steps, answer)
                except StopIteration:
                    return
                if isinstance(effect, Emit):
                    yield effect.item
                    answer = None
                elif isinstance(effect, ReadMore):
                    answer = stream.more()
                elif isinstance(effect, Send) and effect.stream:
                    answer = stream.open(effect)
                else:
                    answer = self._perform(effect)
        finally:
            stream.close()

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            return self._send(effect)
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        if isinstance(effect, Alone):
            return self._do_alone(effect)
        raise TypeError(f"{effect} needs somebody who iterates.")

    def _do_alone(self, effect: Alone) -> Any:
        turn = self._alone
        if not turn.acquire(timeout=min(effect.seconds, threading.TIMEOUT_MAX)):
            return no_turn()
        try:
            return self._run(effect.steps())
        except errors.EaselError as error:
            return Raised(error)
        finally:
            turn.release()

    def _send(self, effect: Send) -> Any:
        try:
            response = self._http.send(self._request(effect))
        except httpx.HTTPError as error:
            return broken_by(error)
        return reply_of(response, response.content)

    def _request(self, effect: Send) -> httpx.Request:
        asked = effect.request
        return self._http.build_request(
            asked.method, self.base_url + asked.path, headers=dict(asked.headers), content=asked.content,
            timeout=timeout_of(asked, self._session.timeouts),
        )  # fmt: skip


class _Stream:
    """An answer that is read as it comes. Opening another closes it."""

    def __init__(self, client: Easel) -> None:
        self._client = client
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def open(self, effect: Send) -> Any:
        self.close()
        try:
            response = self._client._http.send(self._client._request(effect), stream=True)
            if not response.is_success:
                return reply_of(response, response.read())
        except httpx.HTTPError as error:
            return broken_by(error)
        self._response, self._chunks = response, response.iter_bytes()
        return reply_of(response, b"")

    def more(self) -> bytes | Broken | None:
        try:
            return next(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
            return broken_by(error)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class Keys:
    """The account's API keys."""

    def __init__(self, client: Easel) -> None:
        self._run, self._operations = client._run, client._operations

    def list(self) -> Sequence[records.Key]:
        return [read(records.Key, each) for each in self._run(self._operations.keys())]

    def get(self, key_id: str) -> records.Key:
        return read(records.Key, self._run(self._operations.key(key_id)))

    def create(self, name: str, scopes: Sequence[str], **rules: Unpack[KeyRules]) -> records.Key:
        """With its `secret`, which is never shown again."""
        return read(records.Key, self._run(self._operations.create_key(name, scopes, rules)))

    def change(self, key_id: str, **changes: Unpack[KeyChange]) -> records.Key:
        return read(records.Key, self._run(self._operations.change_key(key_id, changes)))

    def rotate(self, key_id: str, *, overlap_seconds: int = 0) -> records.Key:
        return read(records.Key, self._run(self._operations.rotate_key(key_id, overlap_seconds)))

    def revoke(self, key_id: str) -> None:
        self._run(self._operations.revoke_key(key_id))


class Webhooks:
    """Where events go. What arrives there is checked by `easel_client.Webhook`."""

    def __init__(self, client: Easel) -> None:
        self._run, self._iterate, self._operations = client._run, client._iterate, client._operations

    def list(self) -> Sequence[records.Endpoint]:
        return [read(records.Endpoint, each) for each in self._run(self._operations.endpoints())]

    def get(self, endpoint_id: str) -> records.Endpoint:
        return read(records.Endpoint, self._run(self._operations.endpoint(endpoint_id)))

    def create(self, url: str, events: Sequence[str], *, description: str = "") -> records.Endpoint:
        """With its `secret`."""
        return read(records.Endpoint, self._run(self._operations.create_endpoint(url, events, description)))

    def change(self, endpoint_id: str, **changes: Unpack[EndpointChange]) -> records.Endpoint:
        return read(records.Endpoint, self._run(self._operations.change_endpoint(endpoint_id, changes)))

    def rotate_secret(self, endpoint_id: str) -> records.Endpoint:
        return read(records.Endpoint, self._run(self._operations.rotate_secret(endpoint_id)))

    def test(self, endpoint_id: str) -> records.Delivery:
        return read(records.Delivery, self._run(self._operations.test_endpoint(endpoint_id)))

    def delete(self, endpoint_id: str) -> None:
        self._run(self._operations.delete_endpoint(endpoint_id))

    def default_secret(self) -> str:
        """What signs deliveries to the `webhook_url` of single requests."""
        return self._run(self._operations.default_secret())

    def deliveries(self, endpoint_id: str = "default") -> Iterator[records.Delivery]:
        return (read(records.Delivery, each) for each in self._iterate(self._operations.deliveries(endpoint_id)))

    def redeliver(self, delivery_id: str) -> records.Delivery:
        return read(records.Delivery, self._run(self._operations.redeliver(delivery_id)))


def _id(generation: str | GenerationData) -> str:
    return generation if isinstance(generation, str) else generation.id
