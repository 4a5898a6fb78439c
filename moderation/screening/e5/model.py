"""From a text to its vector."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from moderation.screening.e5.graph import session
from moderation.screening.e5.packed import Packed
from moderation.screening.e5.tokens import Tokenizer

ASKED: Final = "query: "  # how E5 was taught to tell questions from passages; all of ours are the former


class E5:
    """One thread at a time. Raises NotPacked, OSError; ValueError for tensors that do not fit together."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        packed = Packed.of(path)
        self.width = width = packed.sizes.width
        self._begin, self._end = packed.vocabulary.begin, packed.vocabulary.end
        self._tokenizer = Tokenizer(packed.vocabulary)
        self._words = packed.blocks("emb.word").rows(width)
        # There is one kind of sentence, so its vector is a part of each position's.
        self._positions = packed.numbers("emb.pos").reshape(-1, width) + packed.numbers("emb.type")[:width]
        self._session = session(packed, threads=threads)

    def tokens(self, text: str) -> list[int]:
        """The ids of the pieces, without begin and end."""
        return self._tokenizer.ids(ASKED + text)

    def embed(self, text: str) -> NDArray[np.float32]:
        """[width] of unit length. A text of more than 510 tokens is read in parts, each counted by its length."""
        ids, largest = self.tokens(text), len(self._positions) - 2
        parts = [ids[start : start + largest] for start in range(0, len(ids), largest)]
        means = np.stack([self._mean([self._begin, *part, self._end]) for part in parts])
        whole = np.average(means, axis=0, weights=[len(part) for part in parts])
        return np.asarray(whole / np.linalg.norm(whole), dtype=np.float32)

    def _mean(self, ids: list[int]) -> NDArray[np.float32]:
        rows = self._words.chosen(np.array(ids)).values + self._positions[: len(ids)]
        (mean,) = self._session.run(["mean"], {"embedded": rows[None]})
        return np.asarray(mean[0], dtype=np.float32)
