"""A file sealed in chunks: every range of it opens, and every change of it shows."""

import os
from collections.abc import Callable

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.crypto import TamperedSeal
from easel.sealed_file import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, UNKNOWN_LENGTH, SealedFile

CHUNK = CHUNK_BYTES + TAG_BYTES
EACH_SIZE = pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]
)


@pytest.fixture(params=["sm4-gcm", "aes-256-gcm"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@EACH_SIZE
def test_what_was_sealed_opens_at_once_and_in_pieces(size: int, algorithm: str) -> None:
    plaintext = os.urandom(size)
    with override_settings(SEALING=algorithm):
        file = SealedFile.new(size)
    sealed = file.seal(plaintext)
    assert len(sealed) == file.sealed_length
    again = SealedFile.unpack(file.packed)
    assert again.open(sealed) == plaintext
    pieces = [sealed[at : at + 1000] for at in range(0, len(sealed), 1000)]
    assert b"".join(again.open_stream(pieces)) == plaintext
    assert b"".join(file.seal_stream([plaintext[:10], plaintext[10:]])) == sealed


@EACH_SIZE
def test_a_stream_of_unknown_length_knows_its_end(size: int) -> None:
    plaintext = os.urandom(size)
    file = SealedFile.new()
    assert file.length == UNKNOWN_LENGTH
    sealed = b"".join(file.seal_stream(plaintext[at : at + 777] for at in range(0, size, 777)))
    assert file.open(sealed) == plaintext
    for cut in (1, TAG_BYTES, CHUNK):
        if len(sealed) - cut >= HEADER_BYTES:
            with pytest.raises(TamperedSeal):
                file.open(sealed[:-cut])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), size=st.integers(1, 3 * CHUNK_BYTES + 5))
def test_any_range_opens_from_the_bytes_that_hold_it(data: st.DataObject, size: int) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    plaintext = os.urandom(size)
    file = SealedFile.new(size)
    sealed = file.seal(plaintext)
    start, end = file.span(first, last)
    assert end - start < (last // CHUNK_BYTES - first // CHUNK_BYTES + 1) * CHUNK
    assert b"".join(file.open_range(first, last, [sealed[start : end + 1]])) == plaintext[first : last + 1]


def swap_chunks(sealed: bytes) -> bytes:
    first, second = sealed[HEADER_BYTES:][:CHUNK], sealed[HEADER_BYTES + CHUNK :][:CHUNK]
    return sealed[:HEADER_BYTES] + second + first + sealed[HEADER_BYTES + 2 * CHUNK :]


@pytest.mark.parametrize(
    "spoil",
    [
        swap_chunks,
        lambda sealed: sealed[:-1],
        lambda sealed: sealed[: HEADER_BYTES + 2 * CHUNK],  # the last chunk is gone, the others are whole
        lambda sealed: sealed[:HEADER_BYTES] + sealed[HEADER_BYTES + CHUNK :],  # the first one is gone
        lambda sealed: sealed + sealed[-CHUNK:],
        lambda sealed: sealed + b"\0",
        lambda sealed: sealed[: HEADER_BYTES + CHUNK] + sealed[HEADER_BYTES:],  # the first one twice
        lambda sealed: sealed[:HEADER_BYTES],
        lambda sealed: b"",
    ],
)
def test_chunks_that_were_moved_cut_or_added_show(spoil: Callable[[bytes], bytes], algorithm: str) -> None:
    with override_settings(SEALING=algorithm):
        file = SealedFile.new(2 * CHUNK_BYTES + 100)
    sealed = file.seal(os.urandom(file.length))
    with pytest.raises(TamperedSeal):
        file.open(spoil(sealed))


def test_a_change_of_any_byte_shows(algorithm: str) -> None:
    with override_settings(SEALING=algorithm):
        file = SealedFile.new(300)
    sealed = file.seal(os.urandom(300))
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(TamperedSeal):
            file.open(bytes(altered))


def test_a_range_does_not_open_from_other_bytes() -> None:
    file = SealedFile.new(3 * CHUNK_BYTES)
    sealed = file.seal(os.urandom(file.length))
    start, end = file.span(CHUNK_BYTES, 2 * CHUNK_BYTES - 1)
    for shifted in (sealed[:CHUNK], sealed[start:end], sealed[start + CHUNK : end + 1 + CHUNK], b""):
        with pytest.raises(TamperedSeal):
            b"".join(file.open_range(CHUNK_BYTES, 2 * CHUNK_BYTES - 1, [shifted]))


def test_two_files_do_not_open_with_each_others_key() -> None:
    one, other = SealedFile.new(5), SealedFile.new(5)
    sealed = one.seal(b"apple")
    with pytest.raises(TamperedSeal):
        other.open(sealed)
    with pytest.raises(TamperedSeal):
        SealedFile(other.content_key, one.header).open(sealed)


def test_a_plaintext_of_another_length_than_announced_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes were announced"):
        SealedFile.new(5).seal(b"pear")


def test_the_key_is_not_shown() -> None:
    file = SealedFile.new(5)
    assert file.content_key.hex() not in repr(file)
    assert repr(file.content_key) not in repr(file)


@pytest.mark.parametrize(
    ("algorithm", "chunk"),
    [
        ("01", "acbb9a0cba67a0d8fef1f645aeeaab150fa5393d60"),
        ("02", "636649af5cbc4715bee356e2d3891f91891cd884e3"),
    ],
)
def test_the_documented_vectors_hold(algorithm: str, chunk: str) -> None:
    """docs/formats.md: whoever writes a reader of their own can check it with these."""
    header = bytes.fromhex(f"4541534c01{algorithm}100000000000000000050102030405060708090a0b0c0d0e0f10")
    assert SealedFile(bytes(range(32)), header).seal(b"apple").hex() == header.hex() + chunk
