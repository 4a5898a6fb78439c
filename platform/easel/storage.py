"""Object storage: a small interface, and S3 behind it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings

from easel import metrics
from easel.storage_errors import (
    ObjectMissing,
    StorageError,
    StorageLeftAlone,
    StorageRefused,
    StorageUnavailable,
    translated,
)
from easel.storage_guard import Kind, StorageGuard

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, HeadObjectOutputTypeDef

__all__ = [
    "ObjectHead",
    "ObjectMissing",
    "ObjectStream",
    "S3Storage",
    "Storage",
    "StorageError",
    "StorageLeftAlone",
    "StorageRefused",
    "StorageUnavailable",
    "storage",
]

CHUNK_BYTES: Final = 256 * 1024
LONGEST_URL_SECONDS: Final = 7 * 24 * 3600  # Signature V4 allows no more
PROBE_KEY: Final = "probe/readiness"


@dataclass(frozen=True, slots=True)
class ObjectHead:
    size: int  # bytes
    content_type: str
    etag: str


class _Body(Protocol):
    def read(self, amt: int, /) -> bytes: ...

    def close(self) -> None: ...


class ObjectStream(Iterator[bytes]):
    """An open object: its head is known, its bytes come in chunks. Close it, also when it was never read."""

    def __init__(self, key: str, head: ObjectHead, body: _Body) -> None:
        self.key = key
        self.head = head
        self._body = body

    def __next__(self) -> bytes:
        with translated("read", self.key):
            chunk = self._body.read(CHUNK_BYTES)
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        self._body.close()


class Storage(Protocol):
    """Every method may raise StorageUnavailable (try again) or StorageRefused (do not)."""

    def put(self, key: str, data: bytes | IO[bytes], content_type: str) -> None: ...

    def get(self, key: str) -> bytes:
        """The whole object; ObjectMissing where there is none."""

    def stream(self, key: str, span: tuple[int, int] | None = None) -> ObjectStream:
        """The object in chunks, or its bytes `span` (first and last). ObjectMissing is raised by this call, before
        any chunk. The head's size is that of what is streamed."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of all objects under a prefix, in the store's order."""

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error: deletions are repeated."""

    def exists(self, key: str) -> bool: ...

    def head(self, key: str) -> ObjectHead: ...

    def presigned_get(self, key: str, seconds: int) -> str | None:
        """A URL anybody can read for so long; None without a public endpoint: then Easel streams it."""

    def presigned_post(self, key: str, *, most_bytes: int, seconds: int) -> tuple[str, dict[str, str]] | None:
        """An address and form fields by which anybody can put one object of at most so many bytes there; None without
        a public endpoint. The store itself refuses more."""

    def check(self) -> None:
        """Write and read a small object, with a short time-out; raises what hinders it."""


class S3Storage:
    """One bucket of any S3-compatible store. Clients are made at first use and shared by all threads."""

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        region: str,
        access_key: str,
        secret_key: str,
        public_endpoint: str = "",
        guard: StorageGuard | None = None,
    ) -> None:
        self.bucket = bucket
        self._endpoint = endpoint
        self._public_endpoint = public_endpoint
        self._region, self._access_key, self._secret_key = region, access_key, secret_key
        self._guard = guard

    def put(self, key: str, data: bytes | IO[bytes], content_type: str) -> None:
        with self._call(Kind.WRITE, "put", key) as client:
            client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type)

    def get(self, key: str) -> bytes:
        with self._call(Kind.READ, "get", key) as client:
            return client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def stream(self, key: str, span: tuple[int, int] | None = None) -> ObjectStream:
        wanted: dict[str, str] = {} if span is None else {"Range": f"bytes={span[0]}-{span[1]}"}
        with self._call(Kind.READ, "get", key) as client:
            found = client.get_object(Bucket=self.bucket, Key=key, **wanted)  # type: ignore[arg-type]
        return ObjectStream(key, _head(found), found["Body"])

    def keys(self, prefix: str) -> Iterator[str]:
        after: dict[str, str] = {}
        while True:
            with self._call(Kind.READ, "list", prefix) as client:
                page = client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **after)  # type: ignore[arg-type]
            yield from (found["Key"] for found in page.get("Contents", []))
            if not page["IsTruncated"]:
                return
            after = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        with self._call(Kind.DELETE, "delete", key) as client:
            client.delete_object(Bucket=self.bucket, Key=key)

    def exists(self, key: str) -> bool:
        try:
            self.head(key)
        except ObjectMissing:
            return False
        return True

    def head(self, key: str) -> ObjectHead:
        with self._call(Kind.READ, "head", key) as client:
            return _head(client.head_object(Bucket=self.bucket, Key=key))

    def presigned_get(self, key: str, seconds: int) -> str | None:
        if not self._public_endpoint:
            return None
        if not 0 < seconds <= LONGEST_URL_SECONDS:
            raise ValueError(f"A signed URL lives from 1 to {LONGEST_URL_SECONDS} seconds, not {seconds}.")
        parameters = {"Bucket": self.bucket, "Key": key}
        return self._public_client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)

    def presigned_post(self, key: str, *, most_bytes: int, seconds: int) -> tuple[str, dict[str, str]] | None:
        if not self._public_endpoint:
            return None
        form = self._public_client.generate_presigned_post(
            self.bucket, key, Conditions=[["content-length-range", 1, most_bytes]], ExpiresIn=seconds
        )
        return form["url"], form["fields"]

    def check(self) -> None:
        with translated("probe", PROBE_KEY):
            self._probe.put_object(Bucket=self.bucket, Key=PROBE_KEY, Body=b"ready", ContentType="text/plain")
            self._probe.get_object(Bucket=self.bucket, Key=PROBE_KEY)["Body"].read()

    def create_bucket(self) -> None:
        """Make the bucket where it is not there yet; for set-up and tests, never in a request."""
        try:
            with translated("create bucket", self.bucket):
                self._client.create_bucket(Bucket=self.bucket)
        except StorageRefused as error:
            if not isinstance(error.__cause__, ClientError):
                raise
            if error.__cause__.response["Error"].get("Code") not in {
                "BucketAlreadyOwnedByYou",
                "BucketAlreadyExists",
            }:
                raise

    def set_lifecycle(self, *, prefix: str, expire_days: int | None) -> list[str]:
        """What the store clears away by itself under a prefix. Returns the rules' names; they replace all others."""
        rules: list[Any] = [
            {
                "ID": "easel-leftovers",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            }
        ]
        if expire_days is not None:
            rule = {"ID": "easel-retention", "Status": "Enabled", "Filter": {"Prefix": prefix}}
            rules.append({**rule, "Expiration": {"Days": expire_days}})
        with translated("set the lifecycle of", self.bucket):
            self._client.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": rules})
        return [str(rule["ID"]) for rule in rules]

    @contextmanager
    def _call(self, kind: Kind, doing: str, key: str) -> Iterator["S3Client"]:
        """The client to make one call with. Where a guard stands before the store, it may not be asked at all."""
        if self._guard is None:
            with _measured(doing), translated(doing, key):
                yield self._client
            return
        with self._guard.around(kind) as is_probe, _measured(doing), translated(doing, key):
            yield self._once if is_probe else self._client

    @cached_property
    def _client(self) -> "S3Client":
        return self._new_client(self._endpoint)

    @cached_property
    def _once(self) -> "S3Client":
        # For whoever asks whether the store is back: nobody else may ask before the answer is there.
        return self._new_client(self._endpoint, attempts=1)

    @cached_property
    def _public_client(self) -> "S3Client":
        # The host is part of what is signed: a URL for the public address needs a client that knows it.
        return self._new_client(self._public_endpoint)

    @cached_property
    def _probe(self) -> "S3Client":
        return self._new_client(self._endpoint, connect_timeout=1, read_timeout=2, attempts=1)

    def _new_client(
        self, endpoint: str, *, connect_timeout: float = 3, read_timeout: float = 20, attempts: int = 5
    ) -> "S3Client":
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_pool_connections=32,
        )
        # A session of its own: clients may be shared by threads, sessions may not.
        session = boto3.session.Session(self._access_key, self._secret_key, region_name=self._region)
        return session.client("s3", endpoint_url=endpoint or None, config=config)


@contextmanager
def _measured(operation: str) -> Iterator[None]:
    """An object that is not there is an answer like any other."""
    started = time.perf_counter()
    try:
        yield
    except ObjectMissing:
        _took(operation, started)
        raise
    except StorageError:
        metrics.STORE_FAILURES.inc()
        raise
    _took(operation, started)


def _took(operation: str, started: float) -> None:
    metrics.STORE_SECONDS.labels(operation).observe(time.perf_counter() - started)


@cache
def storage() -> Storage:
    """The process's one store, as the settings describe it. A client costs 140 ms, so it is made once."""
    place = f"{settings.S3['endpoint'] or settings.S3['region']}/{settings.S3['bucket']}"
    return S3Storage(**settings.S3, guard=StorageGuard(place))


def _head(found: "GetObjectOutputTypeDef | HeadObjectOutputTypeDef") -> ObjectHead:
    return ObjectHead(size=found["ContentLength"], content_type=found["ContentType"], etag=found["ETag"].strip('"'))
