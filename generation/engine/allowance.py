"""How much of the device's time may go into what nobody pays for."""

from typing import Final

MOST_SECONDS: Final = 0.1  # saved up: a burst that nobody notices


class Allowance:
    """Seconds on the side: a share of those spent on the work itself, saved up to `most`. Whoever begins while some
    are left may finish; what that took too much is missing later."""

    def __init__(self, share: float, *, most: float = MOST_SECONDS) -> None:
        self._share, self._most = share, most
        self._left = most

    @property
    def left(self) -> bool:
        return self._left > 0

    def earn(self, worked: float) -> None:
        self._left = min(self._most, self._left + self._share * worked)

    def spend(self, seconds: float) -> None:
        self._left -= seconds
