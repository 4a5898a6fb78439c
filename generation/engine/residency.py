"""Which models are held in memory: the most recently used, within a bound, and apart what did not fit together."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Final

from generation.engine.device import free_memory
from generation.engine.loading import Model
from generation.engine.protocol import Checkpoint

BELIEVED_SECONDS: Final = 600.0  # that models do not fit together: what else was in memory may have left it


class Residency:
    """Not thread-safe: it belongs to the engine's thread."""

    def __init__(
        self,
        load: Callable[[Checkpoint], Model],
        *,
        most: int,
        budget: int = 0,
        weigh: Callable[[Checkpoint], int] = lambda checkpoint: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most `most` models of together at most `budget` bytes (0: any); a single one may be larger than that."""
        if most < 1:
            raise ValueError(f"An engine holds at least one model, not {most}.")
        self.most = most
        self._load, self._budget, self._weigh, self._clock = load, budget, weigh, clock
        self._models: OrderedDict[Checkpoint, Model] = OrderedDict()
        self._too_much: dict[frozenset[Checkpoint], float] = {}  # what did not fit together, and when

    def model(self, checkpoint: Checkpoint) -> Model:
        """Loaded, if need be in the place of the one that was not used for longest."""
        if checkpoint not in self._models:
            self._leave(self._most_beside(checkpoint))  # before loading: both may not fit
            self._models[checkpoint] = self._load(checkpoint)
        self._models.move_to_end(checkpoint)
        return self._models[checkpoint]

    def holds(self, checkpoint: Checkpoint) -> bool:
        return checkpoint in self._models

    def has_room(self, checkpoint: Checkpoint, in_use: Collection[Checkpoint]) -> bool:
        """Whether it may be held beside those that are being drawn with."""
        together = {checkpoint, *in_use}
        return len(together) <= self.most and (len(together) == 1 or self._fits(together))

    def prefer(self, checkpoints: Iterable[Checkpoint]) -> None:
        """These are in use: of those held, let others leave first."""
        for checkpoint in checkpoints:
            if checkpoint in self._models:
                self._models.move_to_end(checkpoint)

    def keep_only(self, checkpoint: Checkpoint) -> None:
        """All memory to this one: it did not fit beside those that are held."""
        others = [held for held in self._models if held != checkpoint]
        if others:
            self._too_much[frozenset([checkpoint, *others])] = self._clock()
        for other in others:
            del self._models[other]
        free_memory()

    def clear(self) -> None:
        self._leave(0)

    def _most_beside(self, checkpoint: Checkpoint) -> int:
        """How many of those held, the most recently used ones, may stay beside it."""
        held = list(self._models)
        for gone in range(max(0, len(held) + 1 - self.most), len(held)):
            if self._fits({checkpoint, *held[gone:]}):
                return len(held) - gone
        return 0

    def _fits(self, together: Collection[Checkpoint]) -> bool:
        if self._budget and sum(self._weigh(each) for each in together) > self._budget:
            return False
        moment = self._clock()
        self._too_much = {each: since for each, since in self._too_much.items() if moment - since < BELIEVED_SECONDS}
        return not any(each <= set(together) for each in self._too_much)

    def _leave(self, count: int) -> None:
        if len(self._models) > count:
            while len(self._models) > count:
                self._models.popitem(last=False)
            free_memory()
