"""What can go wrong with object storage, and botocore's errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own, which is no OSError
    HTTPClientError,
    IncompleteReadError,
)

_MISSING: Final = {"404", "NoSuchKey", "NotFound"}
_NOT_NOW: Final = {"SlowDown", "RequestTimeout"}


class StorageError(Exception):
    """The store did not do what it was asked to."""

    permanent = True


class StorageUnavailable(StorageError):
    """No answer, or an answer that says "not now". The same call may work later."""

    permanent = False


class StorageLeftAlone(StorageUnavailable):
    """Not even asked: it has not answered too often. `retry_after` is in whole seconds, at least 1."""

    def __init__(self, said: str, *, retry_after: int) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class ObjectMissing(StorageError):
    """There is no object under this key."""


class StorageRefused(StorageError):
    """The store understood and said no: wrong credentials, no such bucket, no right. An operator must act."""


@contextmanager
def translated(doing: str, key: str) -> Iterator[None]:
    """Botocore's errors as ours: each names what was tried, on which key, and is raised from its cause."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        said = f"cannot {doing} {key}: {code or status}"
        if code in _MISSING:
            raise ObjectMissing(said) from error
        if status >= 500 or status == 429 or code in _NOT_NOW:
            raise StorageUnavailable(said) from error
        raise StorageRefused(said) from error
    except (HTTPClientError, ConnectionError, IncompleteReadError) as error:
        raise StorageUnavailable(f"cannot {doing} {key}: {type(error).__name__}") from error
    except BotoCoreError as error:
        raise StorageRefused(f"cannot {doing} {key}: {error}") from error
