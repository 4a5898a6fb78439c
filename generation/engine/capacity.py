"""How many images one model call may hold: measured where it could be, and corrected when memory runs out."""

from collections.abc import Callable

from generation.engine.device import free_memory, is_out_of_memory
from generation.engine.protocol import Checkpoint

WORTH_MORE = 1.05  # times as many images a second
ROUNDS = 3
PATIENCE = 1.0  # seconds: calls this slow fill the device by themselves
ENOUGH = 4.0  # seconds for all measuring, since a worker that measures does not draw


class Capacity:
    """Kept as a number of slots for pictures of a certain area; larger ones get fewer, for they fill the device, and
    its memory, as much sooner. A model that was not measured gets `most`, and memory decides."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._measured: dict[Checkpoint, tuple[int, int]] = {}  # slots, area

    @property
    def places(self) -> int:
        """For the engine as a whole, which does not know what will come."""
        return max((slots for slots, _ in self._measured.values()), default=self._most)

    def slots(self, checkpoint: Checkpoint, area: int) -> int:
        if checkpoint not in self._measured:
            return self._most
        slots, measured = self._measured[checkpoint]
        return max(1, min(self._most, slots * measured // area))

    def learn(self, checkpoint: Checkpoint, *, slots: int, area: int) -> None:
        self._measured[checkpoint] = (max(1, min(self._most, slots)), area)

    def halve(self, checkpoint: Checkpoint, *, guests: int, area: int) -> None:
        """So many did not fit. Converted to the area that was measured, which `places` are counted in."""
        slots, measured = self._measured.get(checkpoint, (self._most, area))
        self.learn(checkpoint, slots=min(slots, guests // 2 * area // measured), area=measured)


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
