"""What is sealed opens with its own key in its own place, and nowhere else."""

import base64
import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from easel import crypto

HERE = b"generation.prompt:" + bytes(16)
EACH_ALGORITHM = pytest.mark.parametrize("name", ["sm4-gcm", "aes-256-gcm"])


def key_word(version: int, byte: int = 7) -> str:
    return f"{version}:{base64.b64encode(bytes([byte]) * 32).decode()}"


@pytest.fixture
def key() -> crypto.DataKey:
    return crypto.DataKey(os.urandom(32))


def test_sm4_is_the_cipher_of_the_national_standard() -> None:
    """GB/T 32907-2016, annex A.1."""
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encryptor = Cipher(algorithms.SM4(block), modes.ECB()).encryptor()
    assert encryptor.update(block).hex() == "681edf34d206965e86b3e94f536e4246"


def test_sm4_gcm_matches_the_published_vector(key: crypto.DataKey) -> None:
    """RFC 8998, appendix A.2.1: the key is put in the place of the derived one."""
    key.__dict__["for_sm4"] = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    nonce = bytes.fromhex("00001234567800000000ABCD")
    authenticated = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plaintext = b"".join(bytes([byte]) * 8 for byte in bytes.fromhex("AABBCCDDEEFFEEAA"))
    body = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    assert crypto._encrypt(crypto.SM4_GCM, key, nonce, plaintext, authenticated) == body
    assert crypto._decrypt(crypto.SM4_GCM, key, nonce, body, authenticated) == plaintext


@given(
    plaintext=st.binary(max_size=300),
    context=st.binary(max_size=60),
    name=st.sampled_from(list(crypto.ALGORITHMS)),
)
def test_what_was_sealed_opens(plaintext: bytes, context: bytes, name: str) -> None:
    key = crypto.DataKey(b"k" * 32)
    with override_settings(SEALING=name):
        sealed = crypto.seal(plaintext, key=key, context=context)
    assert crypto.open_sealed(sealed, key=key, context=context) == plaintext
    assert len(sealed) == len(plaintext) + crypto.OVERHEAD_BYTES


@EACH_ALGORITHM
def test_a_change_of_any_byte_is_noticed(name: str, key: crypto.DataKey) -> None:
    with override_settings(SEALING=name):
        sealed = crypto.seal(b"cyberpunk cityscape", key=key, context=HERE)
    for position in range(len(sealed)):
        for change in (1, 2, 3, 0x80):
            altered = bytearray(sealed)
            altered[position] ^= change
            with pytest.raises(crypto.TamperedSeal):
                crypto.open_sealed(bytes(altered), key=key, context=HERE)


@EACH_ALGORITHM
@pytest.mark.parametrize(
    "cut", [lambda blob: blob[:-1], lambda blob: blob + b"\0", lambda blob: blob[:29], lambda _: b""]
)
def test_a_cut_or_lengthened_value_is_noticed(name: str, key: crypto.DataKey, cut: Callable[[bytes], bytes]) -> None:
    with override_settings(SEALING=name):
        sealed = crypto.seal(b"prompt", key=key, context=HERE)
    with pytest.raises(crypto.TamperedSeal):
        crypto.open_sealed(cut(sealed), key=key, context=HERE)


def test_a_value_moved_to_another_row_does_not_open(key: crypto.DataKey) -> None:
    sealed = crypto.seal(b"prompt", key=key, context=HERE)
    with pytest.raises(crypto.TamperedSeal):
        crypto.open_sealed(sealed, key=key, context=b"generation.prompt:" + bytes(15) + b"\1")


def test_another_tenants_key_does_not_open_it(key: crypto.DataKey) -> None:
    sealed = crypto.seal(b"prompt", key=key, context=HERE)
    with pytest.raises(crypto.TamperedSeal):
        crypto.open_sealed(sealed, key=crypto.DataKey(os.urandom(32)), context=HERE)


def test_the_same_text_is_never_sealed_the_same_way(key: crypto.DataKey) -> None:
    assert len({crypto.seal(b"prompt", key=key, context=HERE) for _ in range(200)}) == 200


def test_values_open_after_the_algorithm_setting_has_changed(key: crypto.DataKey) -> None:
    with override_settings(SEALING="sm4-gcm"):
        sealed = crypto.seal(b"prompt", key=key, context=HERE)
    with override_settings(SEALING="aes-256-gcm"):
        assert crypto.open_sealed(memoryview(sealed), key=key, context=HERE) == b"prompt"


def test_a_data_key_opens_again_from_what_is_stored() -> None:
    key, sealed, version = crypto.new_data_key()
    assert crypto.open_data_key(sealed, version) == key
    assert crypto.open_data_key(memoryview(sealed), version) == key
    assert key.material not in sealed


def test_a_data_key_outlives_the_rotation_of_the_platform_key() -> None:
    with override_settings(PLATFORM_KEYS=[key_word(1)]):
        key, sealed, version = crypto.new_data_key()
    with override_settings(PLATFORM_KEYS=[key_word(2, 8), key_word(1)]):
        assert (crypto.open_data_key(sealed, version), version) == (key, 1)
        assert crypto.new_data_key()[2] == 2
    with (
        override_settings(PLATFORM_KEYS=[key_word(2, 8)]),
        pytest.raises(crypto.UnknownKeyVersion) as refused,
    ):
        crypto.open_data_key(sealed, version)
    assert refused.value.version == 1


def test_a_data_key_does_not_open_under_another_version_or_another_platform_key() -> None:
    with override_settings(PLATFORM_KEYS=[key_word(2), key_word(1)]):
        _, sealed, version = crypto.new_data_key()
        with pytest.raises(crypto.TamperedSeal):
            crypto.open_data_key(sealed, version - 1)
    with override_settings(PLATFORM_KEYS=[key_word(2, 9)]), pytest.raises(crypto.TamperedSeal):
        crypto.open_data_key(sealed, version)


def test_each_purpose_has_a_key_of_its_own(key: crypto.DataKey) -> None:
    subkeys = [key.material, key.for_sm4, key.for_aes, key.for_hmac]
    assert len({subkey[:16] for subkey in subkeys}) == 4
    assert [len(subkey) for subkey in subkeys] == [32, 16, 32, 32]


def test_a_fingerprint_depends_on_the_data_and_on_the_tenant() -> None:
    one, other = crypto.DataKey(b"1" * 32), crypto.DataKey(b"2" * 32)
    prints = {crypto.fingerprint(key, data) for key in (one, other) for data in (b"a", b"b")}
    assert len(prints) == 4
    assert crypto.fingerprint(one, b"a") == crypto.fingerprint(crypto.DataKey(b"1" * 32), b"a")
    assert {len(value) for value in prints} == {32}


def test_keys_do_not_show_in_a_repr() -> None:
    assert "7777" not in repr(crypto.DataKey(b"7" * 32))
    assert "\\x07" not in repr(crypto.KeyRing.parse([key_word(1)], name="KEYS"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "not set"),
        (["nothing"], "id:base64"),
        (["0:" + "A" * 43 + "="], "id from 1"),
        (["32768:" + "A" * 43 + "="], "id from 1"),
        (["1:not base64!"], "not base64"),
        (["1:AAAA"], "3 bytes"),
        ([key_word(1), key_word(1, 8)], "two keys"),
    ],
)
def test_a_malformed_ring_is_refused_by_name(words: list[str], reason: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=reason) as refused:
        crypto.KeyRing.parse(words, name="EASEL_PLATFORM_KEYS")
    assert "EASEL_PLATFORM_KEYS" in str(refused.value)


def test_an_unknown_algorithm_is_refused_by_name(key: crypto.DataKey) -> None:
    with override_settings(SEALING="sm4-cbc"), pytest.raises(ImproperlyConfigured, match="EASEL_SEALING"):
        crypto.seal(b"prompt", key=key, context=HERE)
