"""How patient a client is: when it tries again, and how long it waits for anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with full jitter: before attempt n+1 a random part of `first` × 2^(n-1), at most `longest`.
    A server's `Retry-After` is waited out first. A call ends at the last of `attempts`, or as soon as the next pause
    would lead beyond its `patience`."""

    attempts: int = 8
    first: float = 0.5
    longest: float = 20.0
    patience: float = 60.0  # seconds for the attempts of one call and the pauses between them

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.first, self.longest, self.patience) < 0:
            raise ValueError("A call needs at least one attempt, and no time is below zero.")

    def pause(self, attempt: int, *, asked: float | None, chance: Callable[[], float]) -> float:
        """Seconds before the attempt after this one. `asked` is the answer's Retry-After."""
        spread = min(self.longest, self.first * 2.0 ** min(attempt - 1, 30))
        return (asked or 0.0) + chance() * spread


NO_RETRIES = RetryPolicy(attempts=1)


@dataclass(frozen=True)
class Timeouts:
    """Seconds. `read` is the longest silence of an answer; an answer that is held (`Prefer: wait`) may be silent for so
    much longer as was asked for. `events` is the longest silence of an event stream: Easel says something every 15."""

    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 60.0
    events: float = 45.0

    def __post_init__(self) -> None:
        if not all(0 < each < math.inf for each in (self.connect, self.read, self.write, self.pool, self.events)):
            raise ValueError("Every time-out is a number of seconds: nothing waits forever.")
