"""How many tokens of a model's text encoder a prompt takes: what is over its limit is not read.

Counted exactly where the model's tokenizer lies in a folder of this machine; otherwise guessed, and said so. It is the
byte-pair encoding of CLIP (Radford et al., 2021) in plain Python: the web process has none of the worker's libraries.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from generation.models import Model

USUAL_LIMIT: Final = 77
FRAME: Final = 2  # the tokens of start and end
GUESSED_PER_WORD: Final = 1.3

_WORDS: Final = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


@dataclass(frozen=True, slots=True)
class Count:
    """`tokens` with the frame, as the limit counts them."""

    tokens: int
    limit: int
    exact: bool

    @property
    def over(self) -> bool:
        return self.tokens > self.limit


def count(text: str, model: Model) -> Count:
    """Of the whole text as the model gets it, with its prefix."""
    whole = f"{model.prompt_prefix} {text}" if text else ""
    tokenizer = _tokenizer(model.source)
    if tokenizer is None:
        return Count(round(len(_words(whole)) * GUESSED_PER_WORD) + FRAME, USUAL_LIMIT, exact=False)
    return Count(tokenizer.tokens(whole) + FRAME, tokenizer.limit, exact=True)


class Tokenizer:
    def __init__(self, ranks: dict[tuple[str, str], int], limit: int) -> None:
        self.limit = limit
        self._ranks = ranks
        self._bytes = _printable_bytes()
        self._merged = lru_cache(maxsize=4096)(self._merge)

    def tokens(self, text: str) -> int:
        return sum(self._merged(word) for word in _words(text))

    def _merge(self, word: str) -> int:
        """How many pieces are left once no two neighbors can be merged."""
        pieces = [self._bytes[byte] for byte in word.encode()]
        pieces[-1] += "</w>"
        while len(pieces) > 1:
            pairs = [self._ranks.get(pair, -1) for pair in pairwise(pieces)]
            known = [rank for rank in pairs if rank >= 0]
            if not known:
                break
            at = pairs.index(min(known))
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return len(pieces)


@lru_cache(maxsize=16)
def _tokenizer(source: str) -> Tokenizer | None:
    folder = Path(source) / "tokenizer"
    if not folder.is_dir():
        return None
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    limit = min(int(settings.get("model_max_length", USUAL_LIMIT)), USUAL_LIMIT)
    merges = _merges(folder)
    return None if merges is None else Tokenizer({pair: rank for rank, pair in enumerate(merges)}, limit)


def _merges(folder: Path) -> list[tuple[str, str]] | None:
    """In the order they are tried; None where the folder holds no such tokenizer."""
    whole, plain = folder / "tokenizer.json", folder / "merges.txt"
    if whole.is_file():
        listed: list[Any] = json.loads(whole.read_text(encoding="utf-8"))["model"]["merges"]
    elif plain.is_file():
        listed = [line for line in plain.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    else:
        return None
    pairs = (each.split(" ") if isinstance(each, str) else each for each in listed)
    return [(first, second) for first, second in pairs]


def _words(text: str) -> list[str]:
    return _WORDS.findall(unicodedata.normalize("NFC", text).lower())


def _printable_bytes() -> dict[int, str]:
    """GPT-2's table: every byte has a character that can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {byte: chr(byte) for byte in seen}
    hidden = [byte for byte in range(256) if byte not in table]
    return table | {byte: chr(256 + index) for index, byte in enumerate(hidden)}
