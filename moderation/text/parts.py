"""A long prompt in parts, each as long as those that the classifier was taught with: what is harmful in a corner of a
text is not to be outvoted by all that is harmless around it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self

from moderation.text.characters import is_chinese

# In Latin letters; a Chinese character says as much as four.
CHINESE: Final = 4
LONGEST: Final = 128
STEP: Final = 64  # whatever is no longer than this lies in one part whole
READ: Final = 2_048  # an image model reads 77 tokens of a prompt, its first few hundred letters
_WORDS: Final = re.compile(rf"[^\s\u3400-\u9fff]{{1,{STEP}}}\s*|\s+|[\u3400-\u9fff]\s*")


def parts(text: str) -> list[str]:
    """The text itself if it is short; else parts that overlap by half, cut between words, up to READ."""
    words = _WORDS.findall(text)
    ends = list(accumulate(map(_size, words)))
    if not words or ends[-1] <= LONGEST:
        return [text]
    found, first = [], 0
    while True:
        begin = ends[first - 1] if first else 0
        last = next((at for at in range(first, len(words)) if ends[at] - begin > LONGEST), len(words))
        found.append("".join(words[first:last]).strip())
        if last == len(words) or ends[last - 1] >= READ:
            return [part for part in found if part] or [text]
        first = next(at for at in range(first + 1, last + 1) if ends[at - 1] - begin >= STEP or at == last)


@dataclass(frozen=True, slots=True)
class Parted:
    """Texts as one list of parts; `rows` says which of them are each text's."""

    flat: list[str]
    rows: list[slice]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        flat: list[str] = []
        rows = []
        for text in texts:
            found = parts(text)
            rows.append(slice(len(flat), len(flat) + len(found)))
            flat.extend(found)
        return cls(flat, rows)


def _size(word: str) -> int:
    return CHINESE + len(word) - 1 if is_chinese(word[0]) else len(word)
