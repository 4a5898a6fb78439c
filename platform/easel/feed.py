"""Live news over the cache Valkey: sent once, logged shortly, fanned out by `easel.hub` in every web process.

A channel is what one subscriber may hear (a tenant), a subject what it is about (a generation). News are told at most
once and may be lost: the row is the truth, and whoever waits looks at it again from time to time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import Any, Final
from uuid import UUID

import structlog
from redis.commands.core import Script

from easel import metrics
from easel.valkey import CacheAway, Patience, client

SUBJECT_ENTRIES: Final = 256
CHANNEL_ENTRIES: Final = 1024
KEEP_SECONDS: Final = 3600
KEEP_ENDED_SECONDS: Final = 300  # what has ended is in its row: an hour of everybody's previews would fill the cache

# One id for both logs, growing with time: the channel's log numbers everything, and forgets at once what only the
# subject's keeps.
_PUBLISH: Final = """
local id = ''
if ARGV[3] ~= 'nowhere' then
    id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'n', ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[6])
    if ARGV[3] == 'subject' then redis.call('XDEL', KEYS[1], id) end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], id, 'n', ARGV[2])
    redis.call('EXPIRE', KEYS[2], ARGV[7])
end
redis.call('PUBLISH', ARGV[1], id .. '\\n' .. ARGV[2])
return id
"""

logger = structlog.get_logger("easel.feed")


class Kept(Enum):
    """Where news can be read again by whoever was away."""

    NOWHERE = "nowhere"  # the next one replaces it anyway
    SUBJECT = "subject"
    BOTH = "both"


@dataclass(frozen=True)
class News:
    """`id` grows with time and is empty for what is kept nowhere."""

    id: str
    subject: str
    kind: str
    data: dict[str, Any]

    @cached_property
    def frame(self) -> bytes:
        """As Server-Sent Events write it (WHATWG HTML, section 9.2). Made once, however many listen."""
        numbered = f"id: {self.id}\n" if self.id else ""
        data = json.dumps({"generation": self.subject, **self.data}, separators=(",", ":"))
        return f"{numbered}event: {self.kind}\ndata: {data}\n\n".encode()


def publish(
    channel: UUID, subject: UUID, kind: str, data: Mapping[str, Any], *, kept: Kept, seconds: int = KEEP_SECONDS
) -> bool:
    """Tell everybody who listens. `seconds`: how long the subject's log stays if nothing more is said. False, counted
    and logged, where the cache is away. Never raises for that."""
    message = json.dumps([str(subject), kind, data], separators=(",", ":"))
    try:
        _patience.call(
            _script(),
            [channel_log(channel), subject_log(subject)],
            [channel_name(channel), message, kept.value, CHANNEL_ENTRIES, SUBJECT_ENTRIES, KEEP_SECONDS, seconds],
        )
    except CacheAway as error:
        metrics.FEED.labels(kind, "lost").inc()
        logger.warning("news were not published", kind=kind, error=str(error))
        return False
    metrics.FEED.labels(kind, "sent").inc()
    return True


def newest(subject: UUID, kind: str) -> News | None:
    """The last news of this kind that the subject's log has. Raises CacheAway."""
    entries: Any = _patience.call(client().xrevrange, subject_log(subject))
    told = (parse(news_id.decode(), fields[b"n"].decode()) for news_id, fields in entries)
    return next((news for news in told if news.kind == kind), None)


def parse(news_id: str, message: str) -> News:
    subject, kind, data = json.loads(message)
    return News(news_id, subject, kind, data)


def parse_published(raw: bytes) -> News:
    news_id, _, message = raw.decode().partition("\n")
    return parse(news_id, message)


def order(news_id: str) -> tuple[int, int]:
    """By which ids of news compare: the moment, and a number within it."""
    moment, _, number = news_id.partition("-")
    return int(moment), int(number or 0)


def channel_name(channel: UUID | str) -> str:
    return f"easel:feed:{channel}"


def channel_log(channel: UUID | str) -> str:
    return f"easel:feed:log:{channel}"


def subject_log(subject: UUID | str) -> str:
    return f"easel:feed:about:{subject}"


@cache
def _script() -> Script:
    return client().register_script(_PUBLISH)


_patience = Patience()
