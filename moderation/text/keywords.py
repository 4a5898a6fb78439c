"""Terms that decide by themselves, found by one Aho-Corasick automaton over the reading of a prompt."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import ahocorasick_rs

from moderation.text.characters import is_chinese
from moderation.text.reading import Reading, read, readable

LEXICON: Final = Path(__file__).with_name("lexicon.txt")
ALLOW: Final = "allow"
HELPING: Final = {"minor", "sexual hint", "covering"}  # groups that decide nothing alone
SHORTEST_PINYIN: Final = 5  # letters; shorter ones are parts of too many words
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LATIN: Final = re.compile(r"[a-z]{2,}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A term found, and where it stands in the original."""

    group: str  # a category, or one of the lexicon's helping groups
    term: str
    start: int
    end: int


class Keywords:
    """Terms by group. `allow` hides what it covers; tenants' and staff's own terms are a `Keywords` of their own."""

    def __init__(self, groups: Mapping[str, Iterable[str]], *, pinyin: bool = True) -> None:
        self._plain = _Automaton([(readable(term), group, term) for group, terms in groups.items() for term in terms])
        spelled = [
            (letters, group, term)
            for group, terms in groups.items()
            for term in terms
            if pinyin and group != ALLOW and (letters := spelling(term))
        ]
        self._pinyin = _Automaton(spelled) if spelled else None

    def find(self, text: str) -> list[Hit]:
        reading = read(text)
        hits = list(self._plain.find(reading))
        if self._pinyin is not None and _LATIN.search(reading.text):
            latin, mixed = _spelled_out(reading), any(map(is_chinese, reading.text))
            found = self._pinyin.find(latin, bounded=False)
            hits.extend(hit for hit in found if _in_letters(reading, hit, mixed=mixed))
        hidden = [(hit.start, hit.end) for hit in hits if hit.group == ALLOW]
        return [
            hit
            for hit in dict.fromkeys(hits)
            if hit.group != ALLOW and not any(start <= hit.start and hit.end <= end for start, end in hidden)
        ]


class _Automaton:
    def __init__(self, entries: Sequence[tuple[str, str, str]]) -> None:
        self._entries = [entry for entry in entries if entry[0]]
        self._automaton = ahocorasick_rs.AhoCorasick([pattern for pattern, _, _ in self._entries])

    def find(self, reading: Reading, *, bounded: bool = True) -> Iterator[Hit]:
        text = reading.text
        for index, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            _, group, term = self._entries[index]
            if not bounded or _stands_alone(text, start, end):
                first, last = reading.span(start, end)
                yield Hit(group, term, first, last)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """A Latin term is a word or words of its own, in singular or plural; Chinese knows no such bounds."""
    if text[start] in _WORD and start and text[start - 1] in _WORD:
        return False
    if text[end - 1] not in _WORD:
        return True
    for plural in ("", "s", "es"):
        after = end + len(plural)
        if text.startswith(plural, end) and (after == len(text) or text[after] not in _WORD):
            return True
    return False


def spelling(term: str) -> str:
    """A Chinese term's pinyin without tones, empty for one that is too short to stand for it."""
    if not all(is_chinese(letter) for letter in term):
        return ""
    letters = _pinyin(term)
    return letters if len(letters) >= SHORTEST_PINYIN and len(term) > 1 else ""


def _spelled_out(reading: Reading) -> Reading:
    """Chinese characters as pinyin, letters as they are, all else left out: mixtures of the two are one script."""
    letters: list[str] = []
    places: list[int] = []
    for letter, place in zip(reading.text, reading.places, strict=True):
        spelled = syllable(letter) if is_chinese(letter) else letter if letter in _WORD else ""
        letters.extend(spelled)
        places.extend([place] * len(spelled))
    return Reading("".join(letters), tuple(places))


@cache
def syllable(character: str) -> str:
    return _pinyin(character)


def _pinyin(text: str) -> str:
    import pypinyin  # its tables take a quarter of a second and 60 MB, and most processes read no prompts

    return "".join(pypinyin.lazy_pinyin(text))


def _in_letters(reading: Reading, hit: Hit, *, mixed: bool) -> bool:
    """Whether part of it was written in letters, on syllables' bounds: homophones in characters mean something else,
    and `luoti` inside a longer word is no pinyin, unless the text is `mixed` with characters."""
    first, after = bisect_left(reading.places, hit.start), bisect_left(reading.places, hit.end)
    if not any(letter in _WORD for letter in reading.text[first:after]):
        return False
    beside = {reading.text[first - 1] if first else "", reading.text[after : after + 1]}
    return mixed or not beside & _WORD


def groups_of(text: str) -> dict[str, list[str]]:
    """The groups of a lexicon file."""
    groups: dict[str, list[str]] = {}
    for line in text.splitlines():
        term = line.strip()
        if term.startswith("[") and term.endswith("]"):
            groups.setdefault(term[1:-1], [])
            current = term[1:-1]
        elif term and not term.startswith("#"):
            groups[current].append(term)
    return groups


@cache
def lexicon() -> Keywords:
    """Easel's own terms."""
    return Keywords(groups_of(LEXICON.read_text(encoding="utf-8")))


def flagged_by_terms(text: str) -> bool:
    """Whether Easel's own terms decide something about it."""
    groups = {hit.group for hit in lexicon().find(text)}
    return bool(groups - HELPING) or {"minor", "sexual hint"} <= groups
