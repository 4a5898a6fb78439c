"""The platform key may rest in the environment, in a file, or in a KMS: what is sealed is sealed the same way."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from easel import crypto, key_providers
from easel.key_providers import KeyProviderRefused, KeyProviderUnavailable, KMSKeys, new_word
from easel.problems import as_problem


def test_a_file_holds_a_ring(tmp_path: Path) -> None:
    file = keys_file(tmp_path, "# the platform's keys\n" + new_word(2) + "  # since May\n\n" + new_word(1) + "\n")
    with override_settings(KEY_PROVIDER="file", PLATFORM_KEYS_FILE=str(file)):
        key, sealed, version = crypto.new_data_key()
        assert version == 2
        assert crypto.open_data_key(sealed, version) == key


def test_a_new_key_in_the_file_counts_without_a_restart(tmp_path: Path) -> None:
    old = new_word(1)
    file = keys_file(tmp_path, old)
    with override_settings(KEY_PROVIDER="file", PLATFORM_KEYS_FILE=str(file)):
        key, sealed, version = crypto.new_data_key()
        keys_file(tmp_path, f"{new_word(2)}\n{old}\n")
        assert crypto.new_data_key()[2] == 2
        assert crypto.open_data_key(sealed, version) == key
        keys_file(tmp_path, new_word(3))
        with pytest.raises(crypto.UnknownKeyVersion):
            crypto.open_data_key(sealed, version)


@pytest.mark.parametrize(("mode", "said"), [(0o644, "open to every user"), (0o602, "open to every user")])
def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path, mode: int, said: str) -> None:
    file = keys_file(tmp_path, new_word(1))
    file.chmod(mode)
    with (
        override_settings(KEY_PROVIDER="file", PLATFORM_KEYS_FILE=str(file)),
        pytest.raises(ImproperlyConfigured, match=said),
    ):
        crypto.new_data_key()


@pytest.mark.parametrize("content", ["", "1:short", "nonsense"])
def test_a_file_without_good_keys_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    file = keys_file(tmp_path, content)
    with (
        override_settings(KEY_PROVIDER="file", PLATFORM_KEYS_FILE=str(file)),
        pytest.raises(ImproperlyConfigured, match="EASEL_PLATFORM_KEYS_FILE"),
    ):
        crypto.new_data_key()


def test_a_missing_file_and_an_unknown_provider_are_named() -> None:
    with (
        override_settings(KEY_PROVIDER="file", PLATFORM_KEYS_FILE="/nowhere/keys"),
        pytest.raises(ImproperlyConfigured, match="/nowhere/keys cannot be read"),
    ):
        crypto.new_data_key()
    with override_settings(KEY_PROVIDER="paper"), pytest.raises(ImproperlyConfigured, match="'paper'"):
        crypto.new_data_key()


# --- KMS: botocore's own client and its own parameter checks, answers from a script ------------------------

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def scripted() -> Iterator[tuple[KMSKeys, Stubber]]:
    client = boto3.client("kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        yield KMSKeys({2: ARN, 1: "alias/easel-2025"}, client), stub
        stub.assert_no_pending_responses()


def test_the_kms_seals_with_the_newest_key_and_says_for_what(scripted: tuple[KMSKeys, Stubber]) -> None:
    keys, stub = scripted
    context = {"easel": "data_key", "version": "2"}
    stub.add_response(
        "encrypt",
        {"CiphertextBlob": b"closed", "KeyId": ARN},
        {"KeyId": ARN, "Plaintext": b"p" * 32, "EncryptionContext": context},
    )
    stub.add_response(
        "decrypt",
        {"Plaintext": b"p" * 32, "KeyId": ARN},
        {"KeyId": ARN, "CiphertextBlob": b"closed", "EncryptionContext": context},
    )
    assert keys.seal(b"p" * 32) == (b"closed", 2)
    assert keys.open(b"closed", 2) == b"p" * 32


def test_an_older_key_of_the_kms_still_opens(scripted: tuple[KMSKeys, Stubber]) -> None:
    keys, stub = scripted
    stub.add_response(
        "decrypt",
        {"Plaintext": b"p" * 32},
        {
            "KeyId": "alias/easel-2025",
            "CiphertextBlob": b"old",
            "EncryptionContext": {"easel": "data_key", "version": "1"},
        },
    )
    assert keys.open(b"old", 1) == b"p" * 32
    with pytest.raises(crypto.UnknownKeyVersion):
        keys.open(b"older", 7)


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("ThrottlingException", 400, KeyProviderUnavailable),
        ("KMSInternalException", 500, KeyProviderUnavailable),
        ("KeyUnavailableException", 500, KeyProviderUnavailable),
        ("AccessDeniedException", 400, KeyProviderRefused),
        ("DisabledException", 400, KeyProviderRefused),
        ("NotFoundException", 400, KeyProviderRefused),
        ("InvalidCiphertextException", 400, crypto.TamperedSeal),
        ("IncorrectKeyException", 400, crypto.TamperedSeal),
    ],
)
def test_what_the_kms_refuses_is_told_from_what_it_cannot_do_now(
    scripted: tuple[KMSKeys, Stubber], code: str, status: int, raised: type[Exception]
) -> None:
    keys, stub = scripted
    stub.add_client_error("decrypt", code, http_status_code=status)
    with pytest.raises(raised):
        keys.open(b"closed", 2)


def test_a_kms_that_cannot_be_reached_makes_the_api_ask_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")

    def unreachable(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://kms.invalid")

    monkeypatch.setattr(client, "_make_api_call", unreachable)
    with pytest.raises(KeyProviderUnavailable) as raised:
        KMSKeys({1: ARN}, client).seal(b"p" * 32)
    problem = as_problem(raised.value)
    assert (problem.status, problem.code) == (503, "overloaded")


def test_a_tenants_key_in_a_kms_is_asked_for_once(
    scripted: tuple[KMSKeys, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, stub = scripted
    monkeypatch.setattr(key_providers, "chosen", lambda: keys)
    blob = os.urandom(40)
    stub.add_response("decrypt", {"Plaintext": b"q" * 32})
    assert [crypto.open_data_key(blob, 2).material for _ in range(3)] == [b"q" * 32] * 3


@pytest.mark.parametrize("words", [[], ["arn:aws:kms:x"], ["0:alias/x"], ["1:"], ["1:alias/a", "1:alias/b"]])
def test_a_malformed_list_of_kms_keys_is_refused_by_its_name(words: list[str]) -> None:
    with (
        override_settings(KEY_PROVIDER="kms", KMS_KEYS=words),
        pytest.raises(ImproperlyConfigured, match="EASEL_KMS_KEYS"),
    ):
        crypto.new_data_key()


def test_a_new_word_is_a_key_of_32_bytes() -> None:
    version, _, encoded = new_word(9).partition(":")
    assert (version, len(base64.b64decode(encoded))) == ("9", 32)


def keys_file(folder: Path, content: str) -> Path:
    """Written beside and moved into place, as a careful operator does it."""
    new = folder / "new"
    new.write_text(content)
    new.chmod(0o600)
    new.replace(folder / "keys")
    return folder / "keys"
