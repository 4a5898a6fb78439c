"""The client for asyncio, and trio: `AsyncEasel`. Method by method the same as `sync.py`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
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
class AsyncImage(ImageData):
    generation_id: str
    _client: AsyncEasel = field(repr=False, compare=False)

    async def read(self) -> bytes:
        """The file."""
        return await self._client._run(self._client._operations.download(self.generation_id, self))

    async def save(self, path: str | os.PathLike[str]) -> Path:
        return await anyio.to_thread.run_sync(write_whole, path, await self.read())

    async def vary(self, *, idempotency_key: str | None = None, **options: Unpack[Derived]) -> AsyncGeneration:
        """A generation of pictures like this one."""
        return await self._client.vary(self.id, idempotency_key=idempotency_key, **options)

    async def upscale(self, scale: float = 2.0, *, idempotency_key: str | None = None) -> AsyncGeneration:
        return await self._client.upscale(self.id, scale, idempotency_key=idempotency_key)


@dataclass(frozen=True)
class AsyncGeneration(GenerationData):
    images: list[AsyncImage]
    _client: AsyncEasel = field(repr=False, compare=False)

    async def wait(self, *, timeout: float = PATIENCE) -> AsyncGeneration:
        return await self._client.wait(self.id, timeout=timeout)

    async def refresh(self) -> AsyncGeneration:
        """As it stands now."""
        return await self._client.get(self.id)

    def stream(self, *, timeout: float | None = None) -> AsyncIterator[Event]:
        return self._client.stream(self.id, timeout=timeout)

    async def cancel(self) -> str:
        return await self._client.cancel(self.id)

    async def delete(self) -> None:
        await self._client.delete(self.id)


class AsyncEasel:
    """One API key at one Easel. For any number of tasks of one event loop; close it, or use it in an `async with`.

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
        http: httpx.AsyncClient | None = None,
    ) -> None:
        found = configuration(
            base_url, api_key, api_secret,
            self_signed=self_signed, sealed=sealed, retry=retry, timeouts=timeouts, breaker=breaker,
        )  # fmt: skip
        self.base_url, self._session = found.base_url, found.session
        self._operations = Operations(self._session)
        self._http = http or httpx.AsyncClient(limits=LIMITS)
        self._alone = anyio.Lock()
        self.keys, self.webhooks = AsyncKeys(self), AsyncWebhooks(self)

    # --- Pictures --------------------------------------------------------------------------------------

    async def generate(
        self,
        prompt: str,
        *,
        timeout: float = PATIENCE,
        idempotency_key: str | None = None,
        **options: Unpack[Drawing],
    ) -> AsyncGeneration:
        """Draw, and return when it is drawn. Raises GenerationNotCompleted's kinds where there are no pictures."""
        steps = self._operations.generate(prompt, options, idempotency_key=idempotency_key, timeout=timeout)
        return completed(self._generation(await self._run(steps)))

    async def submit(
        self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[Drawing]
    ) -> AsyncGeneration:
        """Ask for pictures, and go on. Without an `idempotency_key` of yours each call makes another generation; the
        attempts of one call never do."""
        return self._generation(
            await self._run(self._operations.submit(prompt, options, idempotency_key=idempotency_key))
        )

    async def wait(self, generation: str | GenerationData, *, timeout: float = PATIENCE) -> AsyncGeneration:
        """The generation with its pictures. Raises WaitTimedOut while it has none, and what says why it has none."""
        return completed(self._generation(await self._run(self._operations.wait(_id(generation), timeout=timeout))))

    async def get(self, generation: str | GenerationData) -> AsyncGeneration:
        return self._generation(await self._run(self._operations.get(_id(generation))))

    async def status(self, generation: str | GenerationData) -> records.Status:
        return read(records.Status, await self._run(self._operations.status(_id(generation))))

    async def list(self, *, status: str | None = None, model: str | None = None) -> AsyncIterator[AsyncGeneration]:
        """All of them, newest first; pages are fetched as they are needed."""
        async for each in self._iterate(self._operations.list(status=status, model=model)):
            yield self._generation(each)

    async def search(self, words: str, *, limit: int | None = None) -> Sequence[str]:
        """Ids of the newest generations whose prompts hold every word."""
        found: Sequence[str] = await self._run(self._operations.search(words, limit))
        return found

    def stream(self, generation: str | GenerationData, *, timeout: float | None = None) -> AsyncIterator[Event]:
        """Its events as they happen, until `done`; or with the first sign of life after `timeout` seconds, which comes
        within 15 more."""
        return self._iterate(self._operations.events(_id(generation), timeout=timeout))

    def events(self) -> AsyncIterator[Event]:
        """What happens to any generation of the account, for as long as you listen."""
        return self._iterate(self._operations.events(None))

    async def cancel(self, generation: str | GenerationData) -> str:
        """`canceled`, or `running` where it stops within a step. Raises AlreadyFinished."""
        return await self._run(self._operations.cancel(_id(generation)))

    async def cancel_many(self, **conditions: Unpack[Filter]) -> records.Cancellation:
        """All that meet every condition; without one, everything unfinished."""
        return read(records.Cancellation, await self._run(self._operations.cancel_many(conditions)))

    async def delete(self, generation: str | GenerationData) -> None:
        """Erases its pictures and words, for good."""
        await self._run(self._operations.delete(_id(generation)))

    async def vary(
        self, image_id: str, *, idempotency_key: str | None = None, **options: Unpack[Derived]
    ) -> AsyncGeneration:
        return self._generation(
            await self._run(self._operations.vary(image_id, options, idempotency_key=idempotency_key))
        )

    async def upscale(
        self, image_id: str, scale: float = 2.0, *, idempotency_key: str | None = None
    ) -> AsyncGeneration:
        return self._generation(
            await self._run(self._operations.upscale(image_id, scale, idempotency_key=idempotency_key))
        )

    # --- Before and around -----------------------------------------------------------------------------

    async def quote(self, prompt: str = "", **options: Unpack[Drawing]) -> records.Quote:
        return read(records.Quote, await self._run(self._operations.quote(prompt, options)))

    async def moderate(self, given: str | bytes | os.PathLike[str]) -> records.Verdict:
        """What moderation says of a text, or of a picture's file. Nothing is drawn or charged."""
        content = given if isinstance(given, str) else file_of(given)
        return read(records.Verdict, await self._run(self._operations.moderate(content)))

    async def upload(self, picture: bytes | os.PathLike[str]) -> records.Input:
        """Keeps a picture; its id serves as `init_image` or `mask` of many requests."""
        return read(records.Input, await self._run(self._operations.upload(file_of(picture))))

    async def ticket(self, generation: str | GenerationData) -> records.Ticket:
        """Lets a browser follow this generation's events, without a token."""
        return read(records.Ticket, await self._run(self._operations.ticket(_id(generation))))

    async def models(self) -> Sequence[records.Model]:
        return [read(records.Model, each) for each in await self._run(self._operations.models())]

    async def samplers(self) -> Sequence[records.Sampler]:
        return [read(records.Sampler, each) for each in await self._run(self._operations.samplers())]

    async def account(self) -> records.Account:
        return read(records.Account, await self._run(self._operations.account()))

    async def usage(
        self, *, first: str | None = None, last: str | None = None, group_by: str | None = None
    ) -> records.Usage:
        """Days are written 2026-01-31 (UTC). `group_by`: day, key, model, status, or several with commas."""
        return read(records.Usage, await self._run(self._operations.usage(first=first, last=last, group_by=group_by)))

    # --- How -------------------------------------------------------------------------------------------

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _generation(self, data: Any) -> AsyncGeneration:
        bare = read(AsyncGeneration, data, images=[], _client=self)
        bare.images.extend(
            read(AsyncImage, each, generation_id=bare.id, _client=self) for each in bare.raw.get("images") or ()
        )
        return bare

    async def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        while True:
            try:
                effect = going_on(steps, answer)
            except StopIteration as stop:
                value: T = stop.value
                return value
            answer = await self._perform(effect)

    async def _iterate(self, steps: Steps[None]) -> AsyncIterator[Any]:
        """What the steps emit. Their stream is open as long as somebody iterates."""
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
                    answer = await stream.more()
                elif isinstance(effect, Send) and effect.stream:
                    answer = await stream.open(effect)
                else:
                    answer = await self._perform(effect)
        finally:
            await stream.close()

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            return await self._send(effect)
        if isinstance(effect, Sleep):
            return await anyio.sleep(effect.seconds)
        if isinstance(effect, Alone):
            return await self._do_alone(effect)
        raise TypeError(f"{effect} needs somebody who iterates.")

    async def _do_alone(self, effect: Alone) -> Any:
        if not await self._turn(effect.seconds):
            return no_turn()
        try:
            return await self._run(effect.steps())
        except errors.EaselError as error:
            return Raised(error)
        finally:
            self._alone.release()

    async def _turn(self, seconds: float) -> bool:
        try:
            self._alone.acquire_nowait()  # for those without patience, too
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds) as waiting:
                await self._alone.acquire()
            return not waiting.cancelled_caught
        return True

    async def _send(self, effect: Send) -> Any:
        try:
            response = await self._http.send(self._request(effect))
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

    def __init__(self, client: AsyncEasel) -> None:
        self._client = client
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def open(self, effect: Send) -> Any:
        await self.close()
        try:
            response = await self._client._http.send(self._client._request(effect), stream=True)
            if not response.is_success:
                return reply_of(response, await response.aread())
        except httpx.HTTPError as error:
            return broken_by(error)
        self._response, self._chunks = response, response.aiter_bytes()
        return reply_of(response, b"")

    async def more(self) -> bytes | Broken | None:
        try:
            return await self._chunks.__anext__() if self._chunks is not None else None
        except StopAsyncIteration:
            return None
        except (httpx.HTTPError, httpx.StreamError) as error:
            return broken_by(error)

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None


class AsyncKeys:
    """The account's API keys."""

    def __init__(self, client: AsyncEasel) -> None:
        self._run, self._operations = client._run, client._operations

    async def list(self) -> Sequence[records.Key]:
        return [read(records.Key, each) for each in await self._run(self._operations.keys())]

    async def get(self, key_id: str) -> records.Key:
        return read(records.Key, await self._run(self._operations.key(key_id)))

    async def create(self, name: str, scopes: Sequence[str], **rules: Unpack[KeyRules]) -> records.Key:
        """With its `secret`, which is never shown again."""
        return read(records.Key, await self._run(self._operations.create_key(name, scopes, rules)))

    async def change(self, key_id: str, **changes: Unpack[KeyChange]) -> records.Key:
        return read(records.Key, await self._run(self._operations.change_key(key_id, changes)))

    async def rotate(self, key_id: str, *, overlap_seconds: int = 0) -> records.Key:
        return read(records.Key, await self._run(self._operations.rotate_key(key_id, overlap_seconds)))

    async def revoke(self, key_id: str) -> None:
        await self._run(self._operations.revoke_key(key_id))


class AsyncWebhooks:
    """Where events go. What arrives there is checked by `easel_client.Webhook`."""

    def __init__(self, client: AsyncEasel) -> None:
        self._run, self._iterate, self._operations = client._run, client._iterate, client._operations

    async def list(self) -> Sequence[records.Endpoint]:
        return [read(records.Endpoint, each) for each in await self._run(self._operations.endpoints())]

    async def get(self, endpoint_id: str) -> records.Endpoint:
        return read(records.Endpoint, await self._run(self._operations.endpoint(endpoint_id)))

    async def create(self, url: str, events: Sequence[str], *, description: str = "") -> records.Endpoint:
        """With its `secret`."""
        return read(records.Endpoint, await self._run(self._operations.create_endpoint(url, events, description)))

    async def change(self, endpoint_id: str, **changes: Unpack[EndpointChange]) -> records.Endpoint:
        return read(records.Endpoint, await self._run(self._operations.change_endpoint(endpoint_id, changes)))

    async def rotate_secret(self, endpoint_id: str) -> records.Endpoint:
        return read(records.Endpoint, await self._run(self._operations.rotate_secret(endpoint_id)))

    async def test(self, endpoint_id: str) -> records.Delivery:
        return read(records.Delivery, await self._run(self._operations.test_endpoint(endpoint_id)))

    async def delete(self, endpoint_id: str) -> None:
        await self._run(self._operations.delete_endpoint(endpoint_id))

    async def default_secret(self) -> str:
        """What signs deliveries to the `webhook_url` of single requests."""
        return await self._run(self._operations.default_secret())

    def deliveries(self, endpoint_id: str = "default") -> AsyncIterator[records.Delivery]:
        return (read(records.Delivery, each) async for each in self._iterate(self._operations.deliveries(endpoint_id)))

    async def redeliver(self, delivery_id: str) -> records.Delivery:
        return read(records.Delivery, await self._run(self._operations.redeliver(delivery_id)))


def _id(generation: str | GenerationData) -> str:
    return generation if isinstance(generation, str) else generation.id
