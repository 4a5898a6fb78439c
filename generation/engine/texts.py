"""Prompts that were encoded lately: an empty negative prompt is in most requests, a prompt in all its images."""

from collections import OrderedDict
from collections.abc import Callable

from generation.engine.families import Text
from generation.engine.protocol import Checkpoint


class Texts:
    """The most recently used ones (some 0.2 MB each for Stable Diffusion). Belongs to the engine's thread."""

    def __init__(self, most: int = 128) -> None:
        self._most = most
        self._texts: OrderedDict[tuple[Checkpoint, str, int | None], Text] = OrderedDict()

    def get(self, checkpoint: Checkpoint, text: str, clip_skip: int, encode: Callable[[str, int], Text]) -> Text:
        return self._kept((checkpoint, text, clip_skip), lambda: encode(text, clip_skip))

    def get_negative(self, checkpoint: Checkpoint, text: str, encode: Callable[[str], Text]) -> Text:
        """A negative prompt, which a model may read otherwise."""
        return self._kept((checkpoint, text, None), lambda: encode(text))

    def _kept(self, key: tuple[Checkpoint, str, int | None], encode: Callable[[], Text]) -> Text:
        if key not in self._texts:
            self._texts[key] = encode()
            if len(self._texts) > self._most:
                self._texts.popitem(last=False)
        self._texts.move_to_end(key)
        return self._texts[key]

    def clear(self) -> None:
        self._texts.clear()
