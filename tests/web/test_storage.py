"""Objects go to a real S3 and come back; its errors say whether trying again makes sense."""

import io
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.conf import settings
from prometheus_client import REGISTRY

from easel.embedded.stack import Stack
from easel.storage import (
    CHUNK_BYTES,
    ObjectMissing,
    S3Storage,
    Storage,
    StorageRefused,
    StorageUnavailable,
    storage,
)
from tests.memory_storage import MemoryStorage

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10


@pytest.fixture
def s3(stack: Stack) -> S3Storage:
    return S3Storage(**settings.S3)


@pytest.fixture(params=["s3", "memory"])
def store(request: pytest.FixtureRequest) -> Storage:
    """The stub must behave as the real one does, or tests that use it show nothing."""
    return MemoryStorage() if request.param == "memory" else request.getfixturevalue("s3")


@pytest.fixture
def key() -> str:
    return f"t/{uuid4()}/g/a b+ü-0.png"


def test_what_was_put_comes_back(store: Storage, key: str) -> None:
    store.put(key, PNG, "image/png")
    assert store.get(key) == PNG
    head = store.head(key)
    assert (head.size, head.content_type) == (len(PNG), "image/png")
    assert store.exists(key)


def test_a_file_is_put_like_bytes_and_replaces_what_was_there(store: Storage, key: str) -> None:
    store.put(key, b"old", "text/plain")
    store.put(key, io.BytesIO(PNG), "image/png")
    assert store.get(key) == PNG


def test_an_object_streams_in_chunks_and_tells_its_size_first(store: Storage, key: str) -> None:
    data = bytes(CHUNK_BYTES * 2 + 17)
    store.put(key, data, "application/octet-stream")
    stream = store.stream(key)
    assert stream.head.size == len(data)
    assert [len(chunk) for chunk in stream] == [CHUNK_BYTES, CHUNK_BYTES, 17]


def test_streams_that_are_never_read_give_their_connection_back(s3: S3Storage, key: str) -> None:
    s3.put(key, bytes(CHUNK_BYTES), "application/octet-stream")
    for _ in range(40):  # more than the client has connections
        s3.stream(key).close()
    assert s3.get(key) == bytes(CHUNK_BYTES)


def test_what_is_not_there_is_an_error_of_its_own(store: Storage, key: str) -> None:
    assert not store.exists(key)
    for ask in (store.get, store.head, store.stream):
        with pytest.raises(ObjectMissing):
            ask(key)


def test_deleting_twice_is_no_error(store: Storage, key: str) -> None:
    store.put(key, PNG, "image/png")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


def test_threads_share_one_store(s3: S3Storage) -> None:
    keys = [f"t/{uuid4()}" for _ in range(16)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: s3.put(name, name.encode(), "text/plain"), keys))
        assert list(threads.map(s3.get, keys)) == [name.encode() for name in keys]


def test_a_process_has_one_store() -> None:
    assert storage() is storage()


def test_a_signed_url_opens_for_anybody_and_only_as_it_was_signed(s3: S3Storage, key: str) -> None:
    public = S3Storage(**{**settings.S3, "public_endpoint": settings.S3["endpoint"]})
    s3.put(key, PNG, "image/png")
    url = public.presigned_get(key, 60)
    assert url is not None
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == PNG
    for altered in (url.replace("a%20b", "a%20c"), url.partition("?")[0], url.replace("Expires=60", "Expires=600")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(altered)
        assert refused.value.code == 403


def test_a_signed_url_names_the_public_host() -> None:
    public = S3Storage(**{**settings.S3, "public_endpoint": "https://images.example.com"})
    assert str(public.presigned_get("t/1.png", 60)).startswith("https://images.example.com/easel/t/1.png?")


def test_without_a_public_endpoint_there_is_no_signed_url(s3: S3Storage) -> None:
    assert S3Storage(**{**settings.S3, "public_endpoint": ""}).presigned_get("t/1.png", 60) is None


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
def test_a_signed_url_cannot_live_longer_than_signatures_do(seconds: int) -> None:
    public = S3Storage(**{**settings.S3, "public_endpoint": "https://images.example.com"})
    with pytest.raises(ValueError, match="seconds"):
        public.presigned_get("t/1.png", seconds)


def test_a_store_that_does_not_answer_is_unavailable_for_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = S3Storage(**{**settings.S3, "endpoint": f"http://127.0.0.1:{port}"})
    with pytest.raises(StorageUnavailable) as failure:
        away.check()
    assert not failure.value.permanent


def test_wrong_credentials_are_for_an_operator_to_mend(stack: Stack) -> None:
    stranger = S3Storage(**{**settings.S3, "secret_key": "wrong"})
    with pytest.raises(StorageRefused) as failure:
        stranger.check()
    assert failure.value.permanent
    assert "wrong" not in str(failure.value)


def test_a_missing_bucket_is_not_taken_for_a_missing_object(stack: Stack) -> None:
    elsewhere = S3Storage(**{**settings.S3, "bucket": "no-such-bucket"})
    with pytest.raises(StorageRefused, match="NoSuchBucket"):
        elsewhere.get("t/1.png")


def test_creating_the_bucket_again_is_no_error(s3: S3Storage) -> None:
    s3.create_bucket()
    s3.create_bucket()
    s3.check()


def test_the_stub_can_be_told_to_fail() -> None:
    stub = MemoryStorage()
    stub.broken = True
    for call in (lambda: stub.put("a", b"", "text/plain"), lambda: stub.get("a"), stub.check):
        with pytest.raises(StorageUnavailable):
            call()


def calls(operation: str) -> float:
    return REGISTRY.get_sample_value("easel_store_seconds_count", {"operation": operation}) or 0.0


def failures() -> float:
    return REGISTRY.get_sample_value("easel_store_failures_total") or 0.0


def test_calls_are_measured_by_what_they_do_and_those_that_fail_are_counted(s3: S3Storage, key: str) -> None:
    operations = ("put", "get", "head", "list", "delete")
    before, failed = [calls(each) for each in operations], failures()
    s3.put(key, PNG, "image/png")
    s3.get(key)
    s3.stream(key).close()
    assert s3.exists(key)
    assert list(s3.keys(key)) == [key]
    s3.delete(key)
    assert not s3.exists(key)
    after = [calls(each) for each in operations]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [1, 2, 2, 1, 1]
    assert failures() == failed
    with pytest.raises(StorageRefused):
        S3Storage(**{**settings.S3, "secret_key": "wrong"}).put(key, PNG, "image/png")
    assert failures() == failed + 1
    assert calls("put") == after[0]
