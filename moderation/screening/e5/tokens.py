"""Texts into pieces of words, as XLM-RoBERTa was taught them."""

import re
from typing import Final

from moderation.screening.e5.packed import Vocabulary

SPACE: Final = "\u2581"  # what stands for a space within pieces
UNKNOWN_BELOW: Final = 10.0  # how far an unknown letter is below the least likely piece


class Tokenizer:
    """The likeliest pieces of a text (Kudo, "Subword Regularization", 2018; the unigram model of SentencePiece). A
    library that does this, `tokenizers`, holds 210 MB for 250,000 pieces; this table holds 38."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._letters = vocabulary.letters
        self._unknown = vocabulary.unknown
        self._scores = vocabulary.scores
        self._known = {
            piece: number for number, piece in enumerate(vocabulary.pieces) if piece and number != vocabulary.unknown
        }
        self._longest = max(map(len, self._known))
        self._least = min(vocabulary.scores) - UNKNOWN_BELOW

    def ids(self, text: str) -> list[int]:
        plain = re.sub(" {2,}", " ", text.translate(self._letters))
        return self._likeliest((plain if plain.startswith(" ") else " " + plain).replace(" ", SPACE))

    def _likeliest(self, text: str) -> list[int]:
        """Viterbi: for each place the best way to it, from the pieces that end there."""
        size, known, scores = len(text), self._known, self._scores
        best, way = [0.0, *[float("-inf")] * size], [(0, self._unknown)] * (size + 1)
        for start in range(size):
            here = best[start]
            for stop in range(start + 1, min(size, start + self._longest) + 1):
                number = known.get(text[start:stop])
                if number is not None and here + scores[number] > best[stop]:
                    best[stop], way[stop] = here + scores[number], (start, number)
            if here + self._least > best[start + 1]:
                best[start + 1], way[start + 1] = here + self._least, (start, self._unknown)
        ids, place = [], size
        while place:
            place, number = way[place]
            ids.append(number)
        return ids[::-1]
