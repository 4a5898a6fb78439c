"""How many images one model call may hold: measured where it could be, and corrected when memory runs out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from generation.engine.device import free_memory, is_out_of_memory
from generation.engine.protocol import Checkpoint

WORTH_MORE = 1.05  # times as many images a second
ROUNDS = 3
PATIENCE = 1.0  # seconds: calls this slow fill the device by themselves
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0  # seconds until one more slot is tried after memory ran out
ENOUGH = 4.0  # seconds for all measuring, since a worker that measures does not draw


@dataclass(frozen=True, slots=True)
class Known:
    """`slots` fitted last, at `since`; from then on one more is tried after each `pause`, up to `goal`."""

    slots: int
    area: int  # that the slots are counted in
    goal: int
    since: float = 0.0
    pause: float = FIRST_PAUSE

    def now(self, moment: float) -> int:
        return min(self.goal, self.slots + int((moment - self.since) / self.pause))


class Capacity:
    """Kept as a number of slots for pictures of a certain area; larger ones get fewer, for they fill the device, and
    its memory, as much sooner. A model that was not measured gets `most`, and memory decides.

    What memory took away grows back, since another program may have left the device; each time it runs out again,
    twice as slowly."""

    def __init__(self, *, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._known: dict[Checkpoint, Known] = {}

    @property
    def places(self) -> int:
        """For the engine as a whole, which does not know what will come."""
        moment = self._clock()
        return max((known.now(moment) for known in self._known.values()), default=self._most)

    def slots(self, checkpoint: Checkpoint, area: int) -> int:
        if checkpoint not in self._known:
            return self._most
        known = self._known[checkpoint]
        return max(1, min(self._most, known.now(self._clock()) * known.area // area))

    def learn(self, checkpoint: Checkpoint, *, slots: int, area: int) -> None:
        within = max(1, min(self._most, slots))
        self._known[checkpoint] = Known(slots=within, area=area, goal=within)

    def halve(self, checkpoint: Checkpoint, *, guests: int, area: int) -> None:
        """So many did not fit. Converted to the area that was measured, which `places` are counted in."""
        known = self._known.get(checkpoint, Known(slots=self._most, area=area, goal=self._most))
        fitting = min(known.now(self._clock()), guests // 2 * area // known.area)
        again = known.since > 0
        self._known[checkpoint] = Known(
            slots=max(1, fitting),
            area=known.area,
            goal=known.goal,
            since=self._clock(),
            pause=min(LONGEST_PAUSE, known.pause * 2) if again else FIRST_PAUSE,
        )


def measure(seconds_of: Callable[[int], float], most: int) -> int:
    """The fewest images in a call that come within 5 % of the most images a second: 1, 2, 4 … for as long as they fit.

    All sizes are tried in rounds and the best time of each counts, since a machine with other work has bad moments."""
    best: dict[int, float] = {}
    spent = 0.0
    for _ in range(ROUNDS):
        for slots in (1 << power for power in range(most.bit_length())):
            seconds = _within_memory(seconds_of, slots)
            if seconds is None:
                break
            best[slots] = min(seconds, best.get(slots, seconds))
            spent += seconds
            if seconds > PATIENCE:
                break
        if spent > ENOUGH:
            break
    rates = {slots: slots / seconds for slots, seconds in best.items()}
    return min((slots for slots, rate in rates.items() if rate * WORTH_MORE >= max(rates.values())), default=1)


def _within_memory(seconds_of: Callable[[int], float], slots: int) -> float | None:
    try:
        return seconds_of(slots)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    free_memory()  # out here: the handler holds the failed call's tensors
    return None
