"""A store in this process's memory, for tests that break it at a chosen moment. `tests/web/test_storage.py` holds it to
what the real one does."""

import hashlib
import io
from collections.abc import Iterator
from typing import IO

from easel.storage import ObjectHead, ObjectMissing, ObjectStream, StorageUnavailable


class MemoryStorage:
    """`objects` holds what was put; while it is `broken`, it cannot be reached."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.broken = False

    def put(self, key: str, data: bytes | IO[bytes], content_type: str) -> None:
        self._reach()
        self.objects[key] = (data if isinstance(data, bytes) else data.read(), content_type)

    def get(self, key: str) -> bytes:
        return self._object(key)[0]

    def stream(self, key: str, span: tuple[int, int] | None = None) -> ObjectStream:
        data, content_type = self._object(key)
        data = data if span is None else data[span[0] : span[1] + 1]
        return ObjectStream(key, ObjectHead(len(data), content_type, self.head(key).etag), io.BytesIO(data))

    def keys(self, prefix: str) -> Iterator[str]:
        self._reach()
        yield from sorted(key for key in self.objects if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self._reach()
        self.objects.pop(key, None)

    def exists(self, key: str) -> bool:
        self._reach()
        return key in self.objects

    def head(self, key: str) -> ObjectHead:
        data, content_type = self._object(key)
        return ObjectHead(size=len(data), content_type=content_type, etag=hashlib.sha256(data).hexdigest())

    def presigned_get(self, key: str, seconds: int) -> str | None:
        return None

    def presigned_post(self, key: str, *, most_bytes: int, seconds: int) -> tuple[str, dict[str, str]] | None:
        return None

    def check(self) -> None:
        self._reach()

    def _object(self, key: str) -> tuple[bytes, str]:
        self._reach()
        try:
            return self.objects[key]
        except KeyError:
            raise ObjectMissing(f"no object {key}") from None

    def _reach(self) -> None:
        if self.broken:
            raise StorageUnavailable("the memory store was told to fail")
