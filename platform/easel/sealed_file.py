"""A file sealed in chunks: any range of it opens by itself, and any change of it shows (docs/formats.md has vectors).

    header (32):  "EASL" ‖ format (1) = 0x01 ‖ algorithm (1) ‖ log2 of the chunk size (1) = 16 ‖ 0x00
                  ‖ length of the plaintext (8, big-endian; all ones: not known beforehand) ‖ random (16)
    chunk i:      ciphertext (65,536 bytes, the last one the rest) ‖ tag (16)

Each file has a content key of its own, 32 random bytes, kept sealed by whoever owns the file; the cipher's key is its
HKDF subkey as for sealed values. The nonce of chunk i is i (11 bytes, big-endian) ‖ 0x01 for the last chunk or else
0x00, and the authenticated data are the header: so no chunk opens at another place, in another file, or as the end
of a shorter one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). An empty file has one
empty chunk.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, algorithms, modes

from easel.crypto import FORMAT, KEY_BYTES, TAG_BYTES, DataKey, TamperedSeal, chosen_algorithm

MAGIC: Final = b"EASL"
HEADER_BYTES: Final = 32
CHUNK_BITS: Final = 16
CHUNK_BYTES: Final = 1 << CHUNK_BITS
UNKNOWN_LENGTH: Final = 2**64 - 1
KEY_AND_HEADER_BYTES: Final = KEY_BYTES + HEADER_BYTES


@dataclass(frozen=True)
class SealedFile:
    """What is needed to seal or to open one file: its content key and its header."""

    content_key: bytes = field(repr=False)
    header: bytes

    def __post_init__(self) -> None:
        known = self.header[:5] == MAGIC + bytes((FORMAT,)) and self.header[6:8] == bytes((CHUNK_BITS, 0))
        if len(self.content_key) != KEY_BYTES or len(self.header) != HEADER_BYTES or not known:
            raise TamperedSeal("This is not a file sealed by Easel.")
        self._cipher  # noqa: B018  refuses an unknown algorithm

    @classmethod
    def new(cls, length: int = UNKNOWN_LENGTH) -> "SealedFile":
        """A fresh content key and header for a plaintext of so many bytes. Never seal two files with one."""
        start = MAGIC + bytes((FORMAT, chosen_algorithm(), CHUNK_BITS, 0))
        return cls(os.urandom(KEY_BYTES), start + length.to_bytes(8, "big") + os.urandom(16))

    @classmethod
    def unpack(cls, packed: bytes) -> "SealedFile":
        return cls(packed[:KEY_BYTES], packed[KEY_BYTES:])

    @property
    def packed(self) -> bytes:
        """What the file's owner keeps, sealed: with it in hand a range opens without reading the file's start."""
        return self.content_key + self.header

    @property
    def length(self) -> int:
        """Bytes of the plaintext; UNKNOWN_LENGTH for a stream."""
        return int.from_bytes(self.header[8:16], "big")

    @property
    def sealed_length(self) -> int:
        """Bytes of the sealed file."""
        return HEADER_BYTES + self.length + self.chunks * TAG_BYTES

    @property
    def chunks(self) -> int:
        return max(1, -(-self.length // CHUNK_BYTES))

    def seal(self, plaintext: bytes | memoryview) -> bytes:
        """The whole sealed file at once; `plaintext` must have the length that was announced."""
        if len(plaintext) != self.length:
            raise ValueError(f"{self.length} bytes were announced, {len(plaintext)} came.")
        source, cipher, last = memoryview(plaintext), self._cipher, self.chunks - 1
        pieces: list[bytes] = [self.header]
        for index in range(self.chunks):
            encryptor = Cipher(cipher, modes.GCM(_nonce(index, last=index == last))).encryptor()
            encryptor.authenticate_additional_data(self.header)
            pieces.append(encryptor.update(source[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]))
            pieces.append(encryptor.finalize())
            pieces.append(encryptor.tag)
        return b"".join(pieces)  # one allocation of the file's size: the rest stays within the allocator's small blocks

    def seal_stream(self, plaintext: Iterable[bytes]) -> Iterator[bytes]:
        """The sealed file in pieces, for a plaintext of any length."""
        cipher = self._cipher
        yield self.header
        for index, (chunk, last) in enumerate(_rechunked(plaintext, CHUNK_BYTES)):
            encryptor = Cipher(cipher, modes.GCM(_nonce(index, last=last))).encryptor()
            encryptor.authenticate_additional_data(self.header)
            yield encryptor.update(chunk) + encryptor.finalize() + encryptor.tag

    def open(self, sealed: bytes) -> bytes:
        """The whole plaintext, or TamperedSeal."""
        return b"".join(self.open_stream([sealed]))

    def open_stream(self, sealed: Iterable[bytes]) -> Iterator[bytes]:
        """The plaintext chunk by chunk. Only what has been verified is given out; the end is verified, too."""
        pieces = iter(sealed)
        start = b""
        while len(start) < HEADER_BYTES and (piece := next(pieces, b"")):
            start += piece
        if start[:HEADER_BYTES] != self.header:
            raise TamperedSeal("The sealed file's header is not the one that was written.")
        opened = 0
        for index, (chunk, last) in enumerate(
            _rechunked(_chain(start[HEADER_BYTES:], pieces), CHUNK_BYTES + TAG_BYTES)
        ):
            plaintext = self._open_chunk(index, chunk, last=last)
            opened += len(plaintext)
            yield plaintext
        if self.length not in {opened, UNKNOWN_LENGTH}:
            raise TamperedSeal("The sealed file has not the length that was written.")

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The sealed file's bytes, first and last, that hold the plaintext's bytes `first` to `last`."""
        if not 0 <= first <= last < self.length:
            raise ValueError(f"A range within {self.length} bytes, not {first}-{last}.")
        sealed_chunk = CHUNK_BYTES + TAG_BYTES
        end = HEADER_BYTES + (last // CHUNK_BYTES + 1) * sealed_chunk
        return HEADER_BYTES + first // CHUNK_BYTES * sealed_chunk, min(end, self.sealed_length) - 1

    def open_range(self, first: int, last: int, sealed: Iterable[bytes]) -> Iterator[bytes]:
        """The plaintext's bytes `first` to `last`, both included, from the bytes that `span` named."""
        index = first // CHUNK_BYTES
        missing = last - first + 1
        for chunk, _ in _rechunked(sealed, CHUNK_BYTES + TAG_BYTES):
            if index > last // CHUNK_BYTES:
                raise TamperedSeal("The sealed file is longer than what was written.")
            plaintext = self._open_chunk(index, chunk, last=index == self.chunks - 1)
            piece = plaintext[max(0, first - index * CHUNK_BYTES) : last + 1 - index * CHUNK_BYTES]
            missing -= len(piece)
            index += 1
            yield piece
        if missing:
            raise TamperedSeal("The sealed file is shorter than what was written.")

    def _open_chunk(self, index: int, chunk: bytes, *, last: bool) -> bytes:
        if len(chunk) < TAG_BYTES:
            raise TamperedSeal("The sealed file was cut.")
        body, tag = chunk[:-TAG_BYTES], chunk[-TAG_BYTES:]
        decryptor = Cipher(self._cipher, modes.GCM(_nonce(index, last=last), tag)).decryptor()
        decryptor.authenticate_additional_data(self.header)
        try:
            return decryptor.update(body) + decryptor.finalize()
        except InvalidTag as error:
            raise TamperedSeal(f"Chunk {index} of the sealed file does not open: altered, moved or cut.") from error

    @cached_property
    def _cipher(self) -> CipherAlgorithm:
        key = DataKey(self.content_key)
        match self.header[5]:
            case 1:
                return algorithms.SM4(key.for_sm4)
            case 2:
                return algorithms.AES(key.for_aes)
        raise TamperedSeal("This is not a file sealed by Easel.")


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes((last,))


def _rechunked(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in chunks of one size, each with whether it is the last. Nothing at all is one empty chunk."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) > size:
            yield bytes(held[:size]), False
            del held[:size]
    yield bytes(held), True


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
