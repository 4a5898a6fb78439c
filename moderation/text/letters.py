"""Runs of letters: what the classifier knows of a text beside its embedding.

Chinese is spelled in pinyin without tones and all else but letters is left out, so that characters, pinyin and mixtures
of both are the same runs, and a word is known by its parts in whatever order words stand.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from moderation.text.characters import is_chinese
from moderation.text.keywords import syllable

LENGTHS: Final = (3, 4, 5, 6)
BUCKETS: Final = 1 << 15
LONGEST: Final = 4_000  # letters; a prompt's first ones
_STEP: Final = np.uint32(0x01000193)  # the prime of FNV-1a


def runs(text: str) -> NDArray[np.int64]:
    """[n], ascending: the buckets of the text's runs, each once. `text` as `readable` gives it."""
    letters = np.frombuffer(spelled(text)[:LONGEST].encode("ascii", "ignore"), np.uint8).astype(np.uint32)
    found = [_hashed(letters, length) for length in LENGTHS]
    return np.unique(np.concatenate(found)).astype(np.int64)


def spelled(text: str) -> str:
    """A rare character without a known sound stands as it is."""
    return "".join(
        syllable(each) if is_chinese(each) else each for each in text if is_chinese(each) or "a" <= each <= "z"
    )


def _hashed(letters: NDArray[np.uint32], length: int) -> NDArray[np.uint32]:
    """[windows]; empty where the text is shorter."""
    count = len(letters) - length + 1
    if count <= 0:
        return np.zeros(0, np.uint32)
    code = np.full(count, 0x811C9DC5 + length, np.uint32)
    for offset in range(length):
        code = (code ^ letters[offset : offset + count]) * _STEP
    return np.asarray((code ^ (code >> np.uint32(15))) % np.uint32(BUCKETS), np.uint32)
