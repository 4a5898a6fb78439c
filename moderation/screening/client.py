"""Asking the screening process. Nothing here guesses: without an answer it raises ScreeningDown, and callers hold what
they cannot judge."""

import base64
import http.client
import json
import threading
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import urlopen

import structlog
from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram

from moderation.screening.memory import Memory, digest

log = structlog.get_logger(__name__)

CALLS = Counter("easel_screening_calls", "Questions to the screening process.", ["kind", "outcome"])
CALL_SECONDS = Histogram(
    "easel_screening_call_seconds",
    "From asking to having the answer, memory included.",
    ["kind"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1, 5),
)
BREAKER_OPEN = Gauge(
    "easel_screening_breaker_open",
    "1 while the screening process is not asked, after failures.",
    multiprocess_mode="livemax",
)
REMEMBERED: Final = 2_048
REMEMBER_SECONDS: Final = 60.0  # so that a newly trained classifier is heard soon
FAILURES: Final = 3  # in a row, then the breaker opens
PAUSE_SECONDS: Final = 2.0  # then one call may try
READY_SECONDS: Final = 1.0
LONGEST_TEXT: Final = 8_000  # characters; what the server takes
AT_ONCE: Final = 4  # texts in one question: the longest ones take a third of a second each
OUR_FAULT: Final = {400, 404, 413}


class ScreeningDown(Exception):
    """The screening process did not answer, or has no model to answer with."""


class ImageRefused(Exception):
    """The screening process answered that this is no picture it can decode."""


@dataclass(frozen=True, slots=True)
class TextReading:
    """An embedding (384 float32 of unit length) and the classifier's probabilities by category."""

    embedding: "array[float]"
    scores: dict[str, float]
    version: str


@dataclass(frozen=True, slots=True)
class ImageReading:
    """Probabilities by category, and the perceptual hash as 16 hexadecimal digits."""

    scores: dict[str, float]
    phash: str
    scorer: str


def embed(texts: Sequence[str]) -> "list[array[float]]":
    """[n] arrays of 384 float32, each of unit length (`numpy.asarray` makes [n, 384] of them without a copy each; the
    web has no numpy). Raises ScreeningDown."""
    return [reading.embedding for reading in read_texts(texts)]


def read_texts(texts: Sequence[str]) -> list[TextReading]:
    """One reading per text, in order. Raises ScreeningDown."""
    with CALL_SECONDS.labels("text").time():
        return _client().texts(texts)


def screen_image(data: bytes) -> ImageReading:
    """Raises ScreeningDown, or ImageRefused for what is no picture."""
    with CALL_SECONDS.labels("image").time():
        return _client().image(data)


def ready() -> bool:
    """Whether the process answers within a second and has all its models: for whoever must not wait for more."""
    if not settings.SCREENING_URL:
        return False
    try:
        with urlopen(f"{settings.SCREENING_URL}/readyz", timeout=READY_SECONDS) as answer:  # noqa: S310  an operator's
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def forget() -> None:
    """Drop what this process remembers, and close the breaker."""
    _client().forget()


class Breaker:
    """After some failures in a row it lets nobody through for a while, and then one call at a time. Per process: the
    screening process is near, and each caller finds out for itself within three calls."""

    def __init__(self) -> None:
        self._failures, self._until = 0, 0.0
        self._lock = threading.Lock()

    def enter(self) -> None:
        with self._lock:
            if self._failures < FAILURES:
                return
            now = time.monotonic()
            if now < self._until:
                raise ScreeningDown("The screening process failed a moment ago; it is not asked yet.")
            self._until = now + PAUSE_SECONDS  # this call is the probe

    def note(self, *, good: bool) -> None:
        with self._lock:
            self._failures = 0 if good else self._failures + 1
            if self._failures >= FAILURES:
                self._until = time.monotonic() + PAUSE_SECONDS
            BREAKER_OPEN.set(self._failures >= FAILURES)


class Client:
    """One kept connection per thread."""

    def __init__(self, url: str, secret: str, *, seconds: float) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._seconds = seconds
        self._local = threading.local()
        self._breaker = Breaker()
        self._texts: Memory[tuple[float, TextReading]] = Memory(REMEMBERED)

    def texts(self, texts: Sequence[str]) -> list[TextReading]:
        # What is undone of disguises may have grown; of so long a text no image model reads the end.
        texts = [text[:LONGEST_TEXT] for text in texts]
        keys = [digest(text.encode("utf-8", "surrogatepass")) for text in texts]
        found = {key: reading for key in keys if (reading := self._remembered(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        for start in range(0, len(missing), AT_ONCE):
            keys_asked = list(missing)[start : start + AT_ONCE]
            asked = [missing[key] for key in keys_asked]
            answer = self._ask("text", "/texts", json.dumps({"texts": asked}).encode())
            for key, each in zip(keys_asked, answer["readings"], strict=True):
                embedding = array("f")
                embedding.frombytes(base64.b64decode(each["embedding"]))
                found[key] = TextReading(embedding, each["scores"], answer["version"])
                self._texts.put(key, (time.monotonic(), found[key]))
        CALLS.labels("text", "remembered").inc(len(texts) - len(missing))
        return [found[key] for key in keys]

    def image(self, data: bytes) -> ImageReading:
        answer = self._ask("image", "/images", data)
        return ImageReading(answer["scores"], answer["phash"], answer["scorer"])

    def forget(self) -> None:
        self._texts.clear()
        self._breaker.note(good=True)

    def _remembered(self, key: bytes) -> TextReading | None:
        known = self._texts.get(key)
        return known[1] if known is not None and time.monotonic() - known[0] < REMEMBER_SECONDS else None

    def _ask(self, kind: str, path: str, body: bytes) -> dict[str, Any]:
        self._breaker.enter()
        try:
            status, answer = self._exchange(path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._failed(kind, type(error).__name__)
            raise ScreeningDown(f"The screening process does not answer ({type(error).__name__}).") from error
        if status == 422:
            self._breaker.note(good=True)
            CALLS.labels(kind, "refused").inc()
            raise ImageRefused(str(answer.get("detail", "")))
        if status in OUR_FAULT:  # a question it does not take says nothing of how it is
            self._breaker.note(good=True)
            CALLS.labels(kind, "refused").inc()
            raise ScreeningDown(str(answer.get("detail", "")))
        if status != 200:
            self._failed(kind, str(status))
            raise ScreeningDown(str(answer.get("detail", f"The screening process answered {status}.")))
        self._breaker.note(good=True)
        CALLS.labels(kind, "answered").inc()
        return answer

    def _failed(self, kind: str, what: str) -> None:
        self._breaker.note(good=False)
        CALLS.labels(kind, "failed").inc()
        log.warning("screening.down", kind=kind, error=what)

    def _exchange(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """A connection that was kept may have been closed by the other side: then once more on a new one."""
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None:
            try:
                return self._send(kept, path, body)
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException):
                kept.close()
                self._local.connection = None
        return self._send(http.client.HTTPConnection(self._host, self._port, timeout=self._seconds), path, body)

    def _send(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            connection.request("POST", path, body, self._headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except BaseException:
            connection.close()
            self._local.connection = None
            raise
        self._local.connection = None if response.will_close else connection
        return response.status, answer


_made: dict[tuple[str, str], Client] = {}


def _client() -> Client:
    """One per address: the settings may name another one in the same process, as the suite does."""
    if not settings.SCREENING_URL:
        raise ScreeningDown("EASEL_SCREENING_URL is not set.")
    key = (settings.SCREENING_URL, settings.SCREENING_SECRET)
    if key not in _made:
        _made[key] = Client(*key, seconds=settings.SCREENING_SECONDS)
    return _made[key]
