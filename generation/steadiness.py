"""Whether time and the database can be trusted so far that an expired lease means a lost worker.

While Postgres was away, nobody could renew; after its clock has jumped, nobody has renewed yet by the new time. In both
cases workers get one lease length to say that they are there.
"""

import time

from easel import clock


class Steadiness:
    """Of one clock process. Ask it at every run of the duty."""

    def __init__(self) -> None:
        self._seen: tuple[float, float] | None = None  # the database's time and ours, at the last run
        self._quiet_until = float("-inf")

    def settled(self, *, database_now: float, up_seconds: float, lease_seconds: float) -> bool:
        """`database_now` and `up_seconds` are Postgres' time and how long it has been up, by its own clock."""
        now = time.monotonic()
        if self._seen is not None:
            theirs, ours = database_now - self._seen[0], now - self._seen[1]
            if abs(theirs - ours) > lease_seconds / 2:
                self._quiet_until = now + lease_seconds
        self._seen = (database_now, now)
        return now >= self._quiet_until and up_seconds > lease_seconds and clock.seconds_since_trouble() > lease_seconds
