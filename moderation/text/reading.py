"""A prompt as it is meant: disguises undone, and for each character the place where it stands in the original."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from moderation.text.characters import LEET, plain

# Four or more single characters with the same sign between each two: n.a.k.e.d
_PULLED_APART: Final = re.compile(r"(?<![a-z0-9])[^\s](?P<sign>[^\w\s]|[ _丨])[^\s](?:(?P=sign)[^\s]){2,}(?![a-z0-9])")
_TOKEN: Final = re.compile(r"[a-z0-9@$!]+")
# 8k, 35mm, 1080p, v2, mp3: no leet
_UNIT: Final = re.compile(
    r"\d+(?:k|p|d|x|s|m|mm|cm|km|mp|fps|px|kg|g|ml|l|h|am|pm|ft|st|nd|rd|th|yo|b|gb|mb)?|(?:v|mp|f|g|h|no|vol|iso|ps|b|a)\d+"
)
_HELD: Final = re.compile(r"([a-z])\1{2,}")
_SPACES: Final = re.compile(r" {2,}")


@dataclass(frozen=True, slots=True)
class Reading:
    """`places[i]` is the index in the original of `text[i]`."""

    text: str
    places: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Of the original, for a span of the text."""
        return self.places[start], self.places[end - 1] + 1


@lru_cache(maxsize=512)
def read(original: str) -> Reading:
    characters = [(each, place) for place, letter in enumerate(original) for each in plain(letter)]
    reading = Reading("".join(each for each, _ in characters), tuple(place for _, place in characters))
    for pattern, keep in ((_PULLED_APART, _joined), (_HELD, _once), (_SPACES, _once)):
        reading = _cut(reading, pattern, keep)
    return _unleeted(reading)


def readable(original: str) -> str:
    """What the classifier reads and the embedding stands for."""
    return read(original).text.strip()


def squeezed(reading: Reading) -> Reading:
    """Every doubled letter once: `boobs` as `bobs`, for comparison with patterns squeezed alike."""
    kept = [
        index
        for index, letter in enumerate(reading.text)
        if index == 0 or letter != reading.text[index - 1] or not letter.isalpha()
    ]
    return _kept(reading, kept)


def _joined(match: "re.Match[str]") -> Iterator[int]:
    return iter(range(match.start(), match.end(), 2))


def _once(match: "re.Match[str]") -> Iterator[int]:
    return iter((match.start(),))


def _cut(reading: Reading, pattern: "re.Pattern[str]", keep: Callable[["re.Match[str]"], Iterator[int]]) -> Reading:
    kept: list[int] = []
    end = 0
    for match in pattern.finditer(reading.text):
        kept.extend(range(end, match.start()))
        kept.extend(keep(match))
        end = match.end()
    if not end:
        return reading
    kept.extend(range(end, len(reading.text)))
    return _kept(reading, kept)


def _kept(reading: Reading, indexes: list[int]) -> Reading:
    return Reading("".join(reading.text[index] for index in indexes), tuple(reading.places[index] for index in indexes))


def _unleeted(reading: Reading) -> Reading:
    """Digits and signs inside of words are the letters they look like; every one stands for one letter."""
    text = _TOKEN.sub(_word, reading.text)
    return reading if text == reading.text else Reading(text, reading.places)


def _word(match: "re.Match[str]") -> str:
    token = match.group()
    core = token.rstrip("!")
    if not any(sign.isalpha() for sign in core) or core.isalpha() or _UNIT.fullmatch(core):
        return token
    return core.translate(LEET) + token[len(core) :]
