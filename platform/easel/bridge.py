"""A WSGI application behind an ASGI server, for answers that do not wait: one hop to a thread and back.

The body is read on the event loop, so a slow upload holds no thread; it is spooled, so that the application sees the
real CONTENT_LENGTH also of a chunked upload. A whole answer goes back in one hop. A streamed one is sent from its
thread, chunk by chunk, each waiting until the client has room: a slow reader holds a thread, so what fits into memory
is answered whole, what waits for events belongs into easel.routes, half of the threads never stream, one account has
one place for what says so (`place_of`), and who reads too slowly is left.
"""

import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO, Any, Final
from urllib.parse import unquote_to_bytes

from easel.requests import ARRIVED

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]

SPOOL_BYTES: Final = 1024 * 1024  # more goes to a file
WHOLE_BYTES: Final = 4 * 1024 * 1024  # an answer that says it is no longer is sent at once, and holds no thread
STALL_SECONDS: Final = 30.0  # a client that takes no byte for so long gives its thread back
PACE_BYTES: Final = 32 * 1024  # a second: who takes less of what is sent in pieces,
PACE_SECONDS: Final = 60.0  # over so long a wait for it, gives it back, too
BODILESS: Final = {204, 304}
CLIENT_LEFT: Final = 499  # the status that is counted where nothing was sent: nginx's word for it
REHEARSED: Final = "easel.rehearsed"  # in a message that begins an answer: its status was asked for by a test key
# What takes over an answer that has a `continuation`: the loop, with nothing sent yet.
GoOn = Callable[[Any, Message, Message, Receive, Send], Awaitable[None]]
_NO_PREFIX: Final = {b"content-type": "CONTENT_TYPE"}


class BodyTooLarge(Exception):
    """The body has more bytes than the bridge takes."""


class Crowded(Exception):
    """As many answers are being streamed as may be: a slow reader holds a thread, and some are kept for the others.
    `own`: one of the same account, which may have one such place."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        self.own = own


class ClientGone(Exception):
    """The client hung up before its request was complete, or takes no more of the answer, or too slowly."""


class WSGIBridge:
    """`await bridge(scope, receive, send)` for scopes of the type http."""

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        *,
        threads: int,
        body_bytes: int,
        go_on: GoOn | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._application = application
        self._go_on = go_on
        self._body_bytes = body_bytes
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")
        self._places = _Places(max(1, threads // 2))
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with SpooledTemporaryFile(max_size=SPOOL_BYTES) as body:
                size = await self._read_body(scope, receive, body)
                asked = {**environ(scope, body, size), ARRIVED: time.perf_counter()}
                await self._respond(asked, receive, send)
        except ClientGone:
            return

    async def close(self) -> None:
        """Wait for what is under way. The loop goes on turning: a thread may need it to send its last chunk."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _read_body(self, scope: Scope, receive: Receive, body: IO[bytes]) -> int:
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > self._body_bytes:
            raise BodyTooLarge
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._body_bytes:
                raise BodyTooLarge
            body.write(chunk)
            if not message.get("more_body", False):
                body.seek(0)
                return size

    async def _respond(self, environ: Environ, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        stream = _Stream(loop, send, self._clock)
        hung_up = loop.create_task(_wait_for_disconnect(receive, stream))
        try:
            whole = await loop.run_in_executor(self._threads, copy_context().run, self._run, environ, stream)
        finally:
            stream.abandon()  # does nothing unless we were canceled: then nobody waits for the thread any more
            hung_up.cancel()
            with suppress(asyncio.CancelledError):
                await hung_up
        if whole is None:
            return
        if whole.continuation is not None and self._go_on is not None:
            await _continue(self._go_on, whole, receive, send)
        else:
            await send(whole.start)
            await send(whole.body)

    def _run(self, environ: Environ, stream: "_Stream") -> "_Whole | None":
        """In the thread: the whole answer and what goes on after it, or None where it was streamed. It closes what it
        opened in this thread."""
        begun = _Begun()
        answer = self._application(environ, begun)
        answered = _Answered(answer)
        try:
            empty = environ["REQUEST_METHOD"] == "HEAD" or begun.status in BODILESS
            streaming = getattr(answer, "streaming", True)
            if empty and streaming:  # a browser's “is it still the same?”: it takes no place of a stream
                answered(begun.status)
                return _Whole(begun.message(), _body(b""), answered)
            if not streaming or begun.length <= WHOLE_BYTES:  # a page's pictures and scripts
                content = b"".join(answer)
                whole = _Whole(begun.message(len(content)), _body(b"" if empty else content), answered)
                if not empty and self._go_on is not None:
                    whole.continuation = getattr(answer, "continuation", None)
                if whole.continuation is None:
                    answered(begun.status)
                return whole
            with self._places.one(getattr(answer, "place_of", None)):
                answered(begun.status)
                _send_in_pieces(begun, answer, stream)
        except Crowded:
            raise  # whoever answers instead tells
        except Exception:
            answered(500)
            raise
        else:
            return None
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()


async def _continue(go_on: GoOn, whole: "_Whole", receive: Receive, send: Send) -> None:
    """What begins to be sent now is the request's answer, after all."""

    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            whole.answered(message["status"], rehearsed=message.pop(REHEARSED, False))
        await send(message)

    try:
        await go_on(whole.continuation, whole.start, whole.body, receive, watched)
    except ClientGone:
        raise
    except Exception:
        whole.answered(500)  # the server's own, where nothing was sent yet
        raise
    finally:
        whole.answered(CLIENT_LEFT)


def _send_in_pieces(begun: "_Begun", answer: Iterable[bytes], stream: "_Stream") -> None:
    stream.send(begun.message())
    for chunk in answer:
        if chunk:
            stream.send(_body(chunk, more=True))
    stream.send(_body(b""))


class _Answered:
    """Tells what was answered to whoever asks for it by a response's `answered`; the first word counts."""

    def __init__(self, answer: Iterable[bytes]) -> None:
        self._tell: Callable[..., object] | None = getattr(answer, "answered", None)

    def __call__(self, status: int, *, rehearsed: bool = False) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(status, rehearsed=rehearsed)


@dataclass(slots=True)
class _Whole:
    start: Message
    body: Message
    answered: _Answered
    continuation: Any = None


class _Places:
    """Threads for answers that are sent in pieces. One account has one of them at a time for what it says so of, so
    that the slow readers of one do not turn everybody away."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._accounts: set[object] = set()
        self._lock = Lock()

    @contextmanager
    def one(self, account: object | None) -> Iterator[None]:
        """Raises Crowded. None: nobody's in particular."""
        with self._lock:
            if account is not None and account in self._accounts:
                raise Crowded(own=True)
            if self._free == 0:
                raise Crowded(own=False)
            self._free -= 1
            if account is not None:
                self._accounts.add(account)
        try:
            yield
        finally:
            with self._lock:
                self._free += 1
                self._accounts.discard(account)


@dataclass(slots=True)
class _Begun:
    """What WSGI calls start_response. Django has no use for the `write` it may return."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def length(self) -> float:
        """Bytes of the answer, as it says itself; endless where it does not say."""
        declared = next((value for name, value in self.headers if name.lower() == b"content-length"), b"")
        return int(declared) if declared.isdigit() else math.inf

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    def message(self, length: int | None = None) -> Message:
        headers = self.headers
        sized = any(name == b"content-length" for name, _ in headers)
        if length is not None and not sized and self.status not in BODILESS:
            headers = [*headers, (b"content-length", b"%d" % length)]
        return {"type": "http.response.start", "status": self.status, "headers": headers}


class _Stream:
    """Sends from a thread, each message only when the one before has been taken."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._send = send
        self._clock = clock
        self._pace = Pace()
        self._sending: Future[None] | None = None
        self._gone = False

    def send(self, message: Message) -> None:
        """In the thread. Raises ClientGone when the client has hung up, takes nothing for STALL_SECONDS, or less than
        PACE_BYTES a second for PACE_SECONDS."""
        began = self._clock()
        sending = self._sending = asyncio.run_coroutine_threadsafe(self._asend(message), self._loop)
        if self._gone:
            sending.cancel()
        try:
            sending.result(STALL_SECONDS)
        except (TimeoutError, CancelledError) as error:
            sending.cancel()
            raise ClientGone from error
        self._pace.took(len(message.get("body", b"")), self._clock() - began)

    def abandon(self) -> None:
        """On the loop: what is being sent, and all that would come after it, has nobody to go to."""
        self._gone = True
        if self._sending is not None:
            self._sending.cancel()

    async def _asend(self, message: Message) -> None:
        await self._send(message)  # a server's send may be an awaitable that is no coroutine


class Pace:
    """How fast a client takes what it is sent. Only the time that it is waited for counts, not that of making it."""

    def __init__(self) -> None:
        self._bytes, self._seconds = 0, 0.0

    def took(self, size: int, seconds: float) -> None:
        """Raises ClientGone for one that keeps a thread from the others for too little."""
        self._bytes, self._seconds = self._bytes + size, self._seconds + seconds
        if self._seconds < PACE_SECONDS:
            return
        if self._bytes < PACE_BYTES * self._seconds:
            raise ClientGone
        self._bytes, self._seconds = 0, 0.0


async def _wait_for_disconnect(receive: Receive, stream: _Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.abandon()


def _body(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def environ(scope: Scope, body: IO[bytes], size: int) -> Environ:
    """PEP 3333's dictionary: bytes appear as latin-1 text, percent escapes are decoded, the size is the real one."""
    root = scope.get("root_path", "")
    host, port = scope.get("server") or ("localhost", 80)
    client, client_port = scope.get("client") or ("", 0)
    values: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": _path(scope, root).decode("latin-1"),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "CONTENT_LENGTH": str(size),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        # X_Request_ID and X-Request-ID would become one: only the spelling that proxies pass on is believed.
        if b"_" in name or name in {b"content-length", b"transfer-encoding"}:
            continue
        key = _NO_PREFIX.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        joint = "; " if key == "HTTP_COOKIE" else ","
        values[key] = f"{values[key]}{joint}{text}" if key in values else text
    return values


def _path(scope: Scope, root: str) -> bytes:
    raw = scope.get("raw_path")
    path = unquote_to_bytes(raw) if raw else scope["path"].encode()
    return path.removeprefix(root.encode()) if root else path
