"""The concepts the starter can draw: names, synonyms, tags and Chinese words.

`concepts.txt` chooses them and holds the everyday words; labels, tags and Chinese names come from emojibase
and emojilib.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONCEPTS_FILE = Path(__file__).with_name("concepts.txt")
ENTRY = re.compile(r"^(?P<label>.+?)(?: -> (?P<name>.+?))? =(?P<english>[^|]*)(?:\|(?P<chinese>.*))?$")
TAG = re.compile(r"[a-z][a-z '-]{2,18}")
USELESS_TAGS = {"face", "emoji", "symbol", "object"}


class ConceptError(ValueError):
    """The concept list and the artwork's labels do not agree."""


@dataclass(frozen=True)
class Concept:
    """One thing the model can draw. `hexcode` is the artwork's key: code points joined by dashes, without
    variation selectors."""

    id: str
    hexcode: str
    name: str
    category: str
    synonyms: tuple[str, ...]
    tags: tuple[str, ...]
    chinese: tuple[str, ...]

    @classmethod
    def of_json(cls, entry: dict[str, Any]) -> "Concept":
        """JSON knows no tuples."""
        lists = {key: tuple(entry[key]) for key in ("synonyms", "tags", "chinese")}
        return cls(**{**entry, **lists})

    @property
    def popularity(self) -> float:
        """How often it is trained: the more words people have for a thing, the more often they ask for it."""
        words = len(self.synonyms) + 2 * (len(self.chinese) > 1)
        return 2.5 if words >= 6 else 1.5 if words >= 4 else 1.0


@dataclass(frozen=True)
class Entry:
    """One line of `concepts.txt` under its heading."""

    category: str
    label: str
    name: str
    english: tuple[str, ...]
    chinese: tuple[str, ...]


def load_concepts(packages: Path) -> list[Concept]:
    """All concepts in the order of `concepts.txt`; `packages` is the folder that holds the npm packages."""
    emojis = {plain(e["label"]): e for e in read_json(packages / "emojibase-data/en/data.json")}
    chinese = {e["hexcode"]: e for e in read_json(packages / "emojibase-data/zh/data.json")}
    keywords = read_json(packages / "emojilib/dist/emoji-en-US.json")
    entries = list(read_entries(CONCEPTS_FILE.read_text("utf-8")))
    if unknown := [e.label for e in entries if plain(e.label) not in emojis]:
        raise ConceptError(f"no artwork has these labels: {unknown}")
    check_unique(entries)
    return [describe(entry, emojis[plain(entry.label)], chinese, keywords) for entry in entries]


def describe(
    entry: Entry, emoji: dict[str, Any], chinese: dict[str, Any], keywords: dict[str, list[str]]
) -> Concept:
    tags = [*emoji.get("tags", []), *(word.replace("_", " ") for word in keywords.get(emoji["emoji"], []))]
    return Concept(
        id=re.sub(r"[^a-z0-9]+", "-", entry.name).strip("-"),
        hexcode=artwork_key(emoji["hexcode"]),
        name=entry.name,
        category=entry.category,
        synonyms=entry.english,
        tags=tuple(
            sorted({t.lower() for t in tags if TAG.fullmatch(t.lower())} - USELESS_TAGS - {entry.name})
        ),
        chinese=tuple(dict.fromkeys([chinese[emoji["hexcode"]]["label"], *entry.chinese])),
    )


def read_entries(text: str) -> Iterator[Entry]:
    category = ""
    for line in text.splitlines():
        if line.startswith("#"):
            category = line.lstrip("# ")
        elif line.strip():
            match = ENTRY.match(line)
            if match is None:
                raise ConceptError(f"not a concept: {line!r}")
            name = plain(match["name"] or match["label"])
            yield Entry(
                category, match["label"], name, words(match["english"]), words(match["chinese"] or "")
            )


def check_unique(entries: list[Entry]) -> None:
    """A word may mean one concept only: two pictures under one word are learned as their blur."""
    owner: dict[str, str] = {}
    for entry in entries:
        for word in dict.fromkeys([entry.name, *entry.english, *entry.chinese]):
            if owner.setdefault(word, entry.name) != entry.name:
                raise ConceptError(f"{word!r} stands for {owner[word]!r} and for {entry.name!r}")


def words(field: str) -> tuple[str, ...]:
    return tuple(word for part in field.split(";") if (word := part.strip()))


def plain(label: str) -> str:
    return label.lower().replace("\u2019", "'").replace("\u201c", "").replace("\u201d", "")


def artwork_key(hexcode: str) -> str:
    return hexcode.lower().replace("-fe0f", "")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
