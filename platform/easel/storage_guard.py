"""Circuit breakers before a store: one that does not answer is not waited for by every process again and again.

Reads, writes and deletions have one each: a store that is full still reads, and what is deleted makes room. Whatever
is no answer counts, a missing object or a refusal does not. Each call that fails was tried five times by then, so few
are enough; and it is asked again soon, by one caller of all processes, who tries once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from easel.breaker import Breaker, BreakerOpen, Rules
from easel.storage_errors import StorageLeftAlone, StorageUnavailable

RULES: Final = Rules(failures=3, open_seconds=1.0, longest_open_seconds=10.0, probe_seconds=30.0)


class Kind(Enum):
    READ = "read"
    WRITE = "write"
    DELETE = "delete"


class StorageGuard:
    """`name` is a store: its endpoint and bucket."""

    def __init__(self, name: str, *, rules: Rules = RULES) -> None:
        self._breakers = {
            kind: Breaker(f"storage:{name}:{kind.value}", rules=rules, counts=_no_answer) for kind in Kind
        }

    @contextmanager
    def around(self, kind: Kind) -> Iterator[bool]:
        """Around one call. Raises StorageLeftAlone instead of making it. True: it is the probe, and is tried once."""
        try:
            with self._breakers[kind].guard() as permit:
                yield permit.probe
        except BreakerOpen as error:
            said = f"the store has not answered lately, and is asked again in {error.retry_after} s"
            raise StorageLeftAlone(said, retry_after=error.retry_after) from error

    def reset(self) -> None:
        """Whatever was counted, it is asked again at once."""
        for breaker in self._breakers.values():
            breaker.reset()


def _no_answer(error: Exception) -> bool:
    return isinstance(error, StorageUnavailable)
