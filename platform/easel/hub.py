"""Everybody who waits in this process hears of news over one Valkey subscription, fanned out in memory.

All of it runs on the event loop. A client's queue is bounded: who reads too slowly loses previews and progress, never
a status; where even those do not fit, the stream ends and the client resumes with its last event's id. When the
subscription breaks, every listener is told, so that nobody waits for news that cannot come.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Literal

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from easel import feed, metrics
from easel.feed import News

LONGEST_QUEUE: Final = 64
DROPPED_FIRST: Final = frozenset({"preview", "progress"})
SUBSCRIBE_SECONDS: Final = 3.0
PING_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 25.0  # no answer to two pings: the connection is dead
CHECK_SECONDS: Final = 1.5  # with keys.REMEMBER_SECONDS below the five in which a revocation counts everywhere

Kind = Literal["stream", "wait"]
Guard = Callable[[set[str]], set[str]]
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]

logger = structlog.get_logger("easel.hub")
_guards: list[Guard] = []


class HubAway(Exception):
    """No news can be had now."""


class TooMany(Exception):
    """This channel has as many listeners of the kind as one may have in one process."""


class Ended(Exception):
    """Nothing more will come. `reason`: slow, revoked, stopping, broken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def on_check(guard: Guard) -> Guard:
    """Register who says, in a thread, which of the given holders may no longer listen."""
    if guard not in _guards:
        _guards.append(guard)
    return guard


class Listener:
    """One client's bounded queue. `holder` is by whose permission it listens."""

    def __init__(self, channel: str, *, subject: str, holder: str, kind: Kind) -> None:
        self.channel, self.subject, self.holder, self.kind = channel, subject, holder, kind
        self._queue: deque[News] = deque()
        self._awake = asyncio.Event()
        self._reason = ""

    def offer(self, news: News) -> None:
        if self._reason or (self.subject and news.subject != self.subject):
            return
        if len(self._queue) >= LONGEST_QUEUE and not self._make_room():
            if news.kind not in DROPPED_FIRST:
                self.end("slow")
            return
        self._queue.append(news)
        self._awake.set()

    def end(self, reason: str) -> None:
        """What is queued can still be taken; then `next` raises Ended."""
        self._reason = self._reason or reason
        self._awake.set()

    async def next(self, seconds: float) -> News | None:
        """The oldest news, or None when none comes in time. Raises Ended."""
        if not self._queue and not self._reason:
            self._awake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._awake.wait()
        if self._queue:
            return self._queue.popleft()
        if self._reason:
            raise Ended(self._reason)
        return None

    def _make_room(self) -> bool:
        for position, news in enumerate(self._queue):
            if news.kind in DROPPED_FIRST:
                del self._queue[position]
                return True
        return False


class _Channel:
    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.subscribed = asyncio.Event()


class Hub:
    """`limits` says how many listeners of each kind one channel may have here."""

    def __init__(self, url: str, *, limits: dict[Kind, int], in_thread: InThread) -> None:
        self._url, self._limits, self._in_thread = url, limits, in_thread
        self._channels: dict[str, _Channel] = {}
        self._outgoing: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self._asked: Counter[str] = Counter()  # subscriptions that Valkey has not confirmed yet
        self._pump: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._log: Any = None
        self._stopping = False

    async def listen(
        self, channel: object, *, subject: object = "", holder: str = "", kind: Kind = "stream"
    ) -> Listener:
        """A queue that fills from now on. Raises TooMany, HubAway, Ended. Give it back by `leave`."""
        if self._stopping:
            raise Ended("stopping")
        name = feed.channel_name(str(channel))
        entry = self._channels.get(name)
        if entry is None:
            entry = self._channels[name] = _Channel()
            self._send("SUBSCRIBE", name)
        elif sum(other.kind == kind for other in entry.listeners) >= self._limits[kind]:
            raise TooMany(f"{self._limits[kind]} at the same time")
        listener = Listener(name, subject=str(subject), holder=holder, kind=kind)
        entry.listeners.add(listener)
        self._gauge(kind).inc()
        self._keep_running()
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await entry.subscribed.wait()
        except TimeoutError as error:
            self.leave(listener)
            raise HubAway("The feed does not answer.") from error
        except asyncio.CancelledError:
            self.leave(listener)
            raise
        if listener._reason:
            self.leave(listener)
            raise HubAway("The feed has just broken.")
        return listener

    def leave(self, listener: Listener) -> None:
        """Safe to call again, and after the subscription broke."""
        entry = self._channels.get(listener.channel)
        if entry is None or listener not in entry.listeners:
            return
        entry.listeners.discard(listener)
        self._gauge(listener.kind).dec()
        if not entry.listeners:
            del self._channels[listener.channel]
            self._send("UNSUBSCRIBE", listener.channel)

    async def since(self, last_id: str, *, channel: object, subject: object = "") -> list[News] | None:
        """What was kept after that id, oldest first; None where the log no longer reaches back to it."""
        key = feed.subject_log(str(subject)) if subject else feed.channel_log(str(channel))
        if self._log is None:
            self._log = Redis.from_url(self._url, socket_timeout=2.0, socket_connect_timeout=1.0, decode_responses=True)
        try:
            later: Any = await self._log.xrange(key, min=f"({last_id}")
            oldest: Any = await self._log.xrange(key, count=1)  # after it: what is trimmed in between shows
        except (RedisError, OSError) as error:
            raise HubAway(str(error)) from error
        # The id itself need not be there: a channel's log forgets those of previews, which its listeners hear, too.
        if not oldest or feed.order(oldest[0][0]) > feed.order(last_id):
            return None
        return [feed.parse(news_id, fields["n"]) for news_id, fields in later]

    def end_all(self) -> None:
        """Let everybody finish now: the server is going to stop and waits for open answers."""
        self._stopping = True
        for listener in self._everybody():
            listener.end("stopping")

    async def close(self) -> None:
        self.end_all()
        for task in (self._pump, self._checking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        if self._log is not None:
            await self._log.aclose()

    # --- The subscription ---------------------------------------------------------------------------------

    def _keep_running(self) -> None:
        """Tasks are made before anything is awaited, so that two first listeners share one subscription."""
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run())
        if self._checking is None or self._checking.done():
            self._checking = asyncio.get_running_loop().create_task(self._check())

    def _send(self, *command: str) -> None:
        if command[0] == "SUBSCRIBE":
            self._asked[command[1]] += 1
        self._outgoing.put_nowait(command)

    async def _run(self) -> None:
        pool: Any = ConnectionPool.from_url(
            self._url, protocol=2, socket_timeout=None, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )
        connection: AbstractConnection = pool.make_connection()
        writing: asyncio.Task[None] | None = None
        try:
            await connection.connect()
            writing = asyncio.get_running_loop().create_task(self._write(connection))
            while True:
                self._take(await connection.read_response(timeout=SILENCE_SECONDS))
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("the feed broke", error=str(error))
        finally:
            if writing is not None:
                writing.cancel()
                with suppress(asyncio.CancelledError, RedisError, OSError):
                    await writing
            self._break()
            await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            command: tuple[str, ...] = ("PING",)
            with suppress(TimeoutError):
                # Not wait_for: until Python 3.12 it loses a cancellation that meets the result.
                async with asyncio.timeout(PING_SECONDS):
                    command = await self._outgoing.get()
            await connection.send_command(*command, check_health=False)

    def _take(self, reply: Any) -> None:
        if not isinstance(reply, list) or len(reply) != 3:
            return  # the answer to a ping
        what, name = reply[0], reply[1].decode()
        if what == b"subscribe":
            self._asked[name] -= 1
            if self._asked[name] <= 0:
                del self._asked[name]
                if name in self._channels:
                    self._channels[name].subscribed.set()
        elif what == b"message" and name in self._channels:
            news = feed.parse_published(reply[2])
            for listener in list(self._channels[name].listeners):
                listener.offer(news)

    def _break(self) -> None:
        """Whoever comes next begins a new subscription."""
        listeners = self._everybody()
        self._channels, self._outgoing, self._asked = {}, asyncio.Queue(), Counter()
        for listener in listeners:
            self._gauge(listener.kind).dec()
            listener.end("stopping" if self._stopping else "broken")

    async def _check(self) -> None:
        """End what is listened to by a permission that is none any more: each guard says which."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            holders = {listener.holder for listener in self._everybody() if listener.holder}
            try:
                refused = set().union(*[await self._in_thread(lambda: ask(holders)) for ask in _guards])  # noqa: B023
            except Exception:  # the next round asks again; a stream also ends with its token
                logger.exception("listeners could not be checked")
                continue
            for listener in self._everybody():
                if listener.holder in refused:
                    listener.end("revoked")

    def _everybody(self) -> list[Listener]:
        return [listener for entry in self._channels.values() for listener in entry.listeners]

    @staticmethod
    def _gauge(kind: Kind) -> Any:
        return metrics.STREAMS if kind == "stream" else metrics.WAITERS
