"""Which models are held in memory: the most recently used, within a bound."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from generation.engine.device import free_memory
from generation.engine.loading import Model
from generation.engine.protocol import Checkpoint


class Residency:
    """Not thread-safe: it belongs to the engine's thread."""

    def __init__(self, load: Callable[[Checkpoint], Model], *, most: int) -> None:
        if most < 1:
            raise ValueError(f"An engine holds at least one model, not {most}.")
        self.most = most
        self._load = load
        self._models: OrderedDict[Checkpoint, Model] = OrderedDict()

    def model(self, checkpoint: Checkpoint) -> Model:
        """Loaded, if need be in the place of the one that was not used for longest."""
        if checkpoint not in self._models:
            self._leave(self.most - 1)  # before loading: both may not fit
            self._models[checkpoint] = self._load(checkpoint)
        self._models.move_to_end(checkpoint)
        return self._models[checkpoint]

    def prefer(self, checkpoints: Iterable[Checkpoint]) -> None:
        """These are in use: of those held, let others leave first."""
        for checkpoint in checkpoints:
            if checkpoint in self._models:
                self._models.move_to_end(checkpoint)

    def keep_only(self, checkpoint: Checkpoint) -> None:
        """All memory to this one."""
        for other in [held for held in self._models if held != checkpoint]:
            del self._models[other]
        free_memory()

    def clear(self) -> None:
        self._leave(0)

    def _leave(self, count: int) -> None:
        if len(self._models) > count:
            while len(self._models) > count:
                self._models.popitem(last=False)
            free_memory()
