"""An answer that goes on after its view has returned: the event loop takes it over, and no thread waits.

A view hangs one on its response (`response.continuation`). Through the bridge it is what answers; where there is no
event loop (Django's test client) the response itself does.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from easel import feed, problems, requests
from easel.bridge import REHEARSED, ClientGone, Message, Receive, Send
from easel.feed import News
from easel.hub import Ended, Hub, HubAway, Listener, TooMany
from easel.key_providers import KeyProviderUnavailable
from easel.problems import Problem
from easel.storage_errors import StorageUnavailable

PING_SECONDS: Final = 15.0
PINGS_PER_LOOK: Final = 4
STALL_SECONDS: Final = 30.0  # a client that takes no byte for so long has left
RECHECK_SECONDS: Final = (15.0, 25.0)  # news may be lost; the row is the truth. Not all who wait look at once
LOOK_AGAIN_SECONDS: Final = 1.0  # while there are no news at all
LAST_LOOK_SECONDS: Final = 2.0  # what a look that begins at the deadline may take
NOT_NOW: Final = (OperationalError, InterfaceError, PoolTimeout, StorageUnavailable, KeyProviderUnavailable)

log = structlog.get_logger(__name__)


class InThread(Protocol):
    def __call__(self, act: Callable[[], Any]) -> Awaitable[Any]: ...


@dataclass(frozen=True)
class Visit:
    """What a continuation has to work with: the first answer, the way to the client, the hub and a thread."""

    start: Message
    body: Message
    receive: Receive
    send: Send
    hub: Hub
    in_thread: InThread

    @property
    def request_id(self) -> str:
        return str(dict(self.start["headers"]).get(requests.HEADER.lower().encode(), b"").decode())

    async def first_answer(self) -> None:
        await self.send(self.start)
        await self.send(self.body)

    async def answer(self, status: int, body: bytes, headers: dict[str, str], *, rehearsed: bool = False) -> None:
        """Another answer, with what the first one's headers said of the request: when to ask again was about the first
        alone. One that is `rehearsed` is an error that was asked for, and counted as such."""
        fields = {**headers, "content-length": str(len(body))}
        encoded = {name.lower().encode(): value.encode("latin-1") for name, value in fields.items()}
        replaced = {*encoded, b"retry-after"}
        kept = [(name, value) for name, value in self.start["headers"] if name not in replaced]
        listed = [*kept, *encoded.items()]
        await self.send({
            "type": "http.response.start", "status": status, "headers": listed, REHEARSED: rehearsed,
        })  # fmt: skip
        await self.send({"type": "http.response.body", "body": body})

    async def better(self, better: "Better") -> None:
        await self.answer(better.status, better.body, better.headers, rehearsed=better.rehearsed)

    async def problem(self, problem: Problem, path: str = "") -> None:
        """As the dialect of `path` writes it."""
        requests.begin(self.request_id)
        told = problems.told(problem, path)
        body = json.dumps(told.body).encode()
        await self.answer(told.status, body, {"content-type": told.media_type, **told.headers})

    async def until_gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


class Continuation(Protocol):
    async def __call__(self, visit: Visit) -> None: ...


@dataclass(frozen=True, slots=True)
class Better:
    """The answer that was waited for."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    rehearsed: bool = False  # an error that was asked for


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why a wait is over: done, late, many (too many wait already), or as `hub.Ended` says."""

    reason: str
    better: Better | None = None


async def unless_gone(visit: Visit, waiting: Coroutine[Any, Any, Outcome]) -> Outcome | None:
    """None when the client hangs up first."""
    gone, task = asyncio.ensure_future(visit.until_gone()), asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({gone, task}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (gone, task):
            each.cancel()
        await asyncio.gather(gone, task, return_exceptions=True)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """`Prefer: wait=N` (RFC 7240): hold the answer until there is a better one, at most so many seconds.

    `again` runs in a thread and returns the better answer or None. What it raises is the answer, but for what says that
    nobody can know right now: it is asked again, and at the deadline the first answer stands. A tenant that has too
    many waiting already is answered at once: a preference may be ignored.
    """

    channel: UUID
    subject: UUID
    holder: str
    seconds: int
    path: str  # whose dialect an error is told in
    again: Callable[[], Better | None]
    ends: str = "done"

    async def __call__(self, visit: Visit) -> None:
        outcome = await unless_gone(visit, self.outcome(visit))
        if outcome is None:
            return  # nobody is there to be answered
        if outcome.reason != "many":
            visit.start["headers"] = [
                *visit.start["headers"],
                (b"preference-applied", b"wait=%d" % self.seconds),
                (b"vary", b"Prefer"),
            ]
        if outcome.better is None:
            await visit.first_answer()
        else:
            await visit.better(outcome.better)

    async def outcome(self, visit: Visit) -> Outcome:
        """What came of waiting once: a broken subscription ends it."""
        deadline = time.monotonic() + self.seconds
        listener: Listener | None = None
        try:
            listener = await visit.hub.listen(self.channel, subject=self.subject, holder=self.holder, kind="wait")
        except TooMany:
            return Outcome("many")
        except Ended as ended:
            return Outcome(ended.reason)
        except HubAway:
            pass  # the row can be looked at without it
        try:
            while True:
                better = await self._look(visit, deadline)
                if better is not None or time.monotonic() >= deadline:
                    return Outcome("late" if better is None else "done", better)
                if listener is None:
                    await asyncio.sleep(min(LOOK_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
                else:
                    await self._news(listener, deadline)
        except Ended as ended:
            return Outcome(ended.reason, await self._look(visit, deadline) if ended.reason == "broken" else None)
        finally:
            if listener is not None:
                visit.hub.leave(listener)

    async def _look(self, visit: Visit, deadline: float) -> Better | None:
        """None also where nobody knows in time: a database that is away keeps its callers waiting."""
        looking: asyncio.Future[Better | None]
        looking = asyncio.ensure_future(visit.in_thread(partial(self._asked, visit.request_id)))
        try:
            await asyncio.wait({looking}, timeout=max(LAST_LOOK_SECONDS, deadline - time.monotonic()))
            return looking.result() if looking.done() else None
        finally:
            looking.cancel()

    def _asked(self, request_id: str) -> Better | None:
        requests.begin(request_id)
        try:
            return self.again()
        except NOT_NOW as error:
            log.warning("waiting.not_now", error=str(error))
            return None
        except Exception as error:  # noqa: BLE001  told as any error of this path is
            told = problems.tell(error, self.path)
            headers = {**told.headers, "content-type": told.media_type}
            rehearsed = problems.as_problem(error).rehearsed
            return Better(told.status, json.dumps(told.body).encode(), headers, rehearsed=rehearsed)

    async def _news(self, listener: Listener, deadline: float) -> None:
        """Returns at the ending, at the deadline, or when it is time to look at the row again."""
        until = min(deadline, time.monotonic() + random.uniform(*RECHECK_SECONDS))  # noqa: S311
        while (left := until - time.monotonic()) > 0:
            news = await listener.next(left)
            if news is not None and news.kind == self.ends:
                return


@dataclass(frozen=True, kw_only=True)
class EventStream:
    """Server-Sent Events of one subject until it ends, or of a whole channel for as long as the token is good.

    A client that names its last event gets what it missed; where the log no longer reaches back, or for a first visit,
    `snapshot` (in a thread) says how things stand.
    """

    channel: UUID
    subject: UUID | None
    holder: str
    good_until: float  # Unix seconds
    last_id: str
    snapshot: Callable[[], list[News]]
    ends: str = "done"
    path: str = ""  # whose dialect a refusal is told in

    async def frames(self, visit: Visit, news: News) -> list[bytes]:
        """How news are written. For other streams than ours to say otherwise."""
        return [news.frame]

    def farewell(self, reason: str) -> bytes:
        """Why the stream ends. A browser's EventSource comes back by itself, with its last id."""
        return b'event: end\ndata: {"reason":"%s"}\n\n' % reason.encode()

    def greeting(self) -> bytes:
        return b"retry: 2000\n\n"

    async def unheard(self, visit: Visit) -> None:
        """Nobody will hear the ending here: no stream could be opened, or it ends before."""

    async def __call__(self, visit: Visit) -> None:
        try:
            listener = await visit.hub.listen(self.channel, subject=self.subject or "", holder=self.holder)
        except TooMany as error:
            said = f"At most {error} are open for an account. Close one."
            await self.unheard(visit)
            await visit.problem(Problem("rate_limited", said, headers={"Retry-After": "5"}), self.path)
            return
        except (HubAway, Ended):
            await self.unheard(visit)
            await visit.problem(Problem("overloaded", "Events cannot be streamed right now; try again."), self.path)
            return
        gone = asyncio.ensure_future(visit.until_gone())
        streaming = asyncio.ensure_future(self._stream(visit, listener))
        try:
            await asyncio.wait({gone, streaming}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
            else:
                await self.unheard(visit)
        finally:
            visit.hub.leave(listener)
            for task in (gone, streaming):
                task.cancel()
            await asyncio.gather(gone, streaming, return_exceptions=True)

    async def _stream(self, visit: Visit, listener: Listener) -> None:
        headers = [(name, value) for name, value in visit.start["headers"] if name != b"content-length"]
        await visit.send({**visit.start, "headers": headers})
        await _chunk(visit, self.greeting())
        seen = self.last_id
        for news in await self._before(visit):
            await self._tell(visit, news)
            seen = news.id or seen
            if self._over(news):
                await _last(visit)
                return
        try:
            async for news in self._after(visit, listener):
                if news.id and seen and feed.order(news.id) <= feed.order(seen):
                    continue  # told already
                await self._tell(visit, news)
                if self._over(news):
                    break
        except Ended as ended:
            await self.unheard(visit)
            await _chunk(visit, self.farewell(ended.reason))
        await _last(visit)

    async def _tell(self, visit: Visit, news: News) -> None:
        for frame in await self.frames(visit, news):
            await _chunk(visit, frame)

    async def _before(self, visit: Visit) -> list[News]:
        """What the client should know before the news: it listens already, so that nothing falls in between."""
        missed: list[News] | None = None
        if self.last_id:
            with suppress(HubAway):
                missed = await visit.hub.since(self.last_id, channel=self.channel, subject=self.subject or "")
        if missed is not None and (self.subject is None or any(map(self._over, missed))):
            return missed
        standing: list[News] = await visit.in_thread(self.snapshot)
        return standing if missed is None else [*missed, *filter(self._over, standing)]

    async def _after(self, visit: Visit, listener: Listener) -> AsyncIterator[News]:
        pings = 0
        while (left := self.good_until - time.time()) > 0:
            news = await listener.next(min(left, PING_SECONDS))
            if news is not None:
                yield news
                continue
            await _chunk(visit, b": ping\n\n")
            pings += 1
            if self.subject is not None and pings % PINGS_PER_LOOK == 0:  # its ending may have been lost
                for ending in filter(self._over, await visit.in_thread(self.snapshot)):
                    yield ending
        raise Ended("expired")

    def _over(self, news: News) -> bool:
        return self.subject is not None and news.kind == self.ends


async def _chunk(visit: Visit, content: bytes) -> None:
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await visit.send({"type": "http.response.body", "body": content, "more_body": True})
    except TimeoutError as error:
        raise ClientGone from error


async def _last(visit: Visit) -> None:
    await visit.send({"type": "http.response.body", "body": b"", "more_body": False})
