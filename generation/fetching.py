"""The pictures a job starts from, out of storage and decoded, before it is admitted."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pictures

from easel.crypto import CryptoError
from easel.storage import ObjectMissing, Storage, StorageError, StorageUnavailable
from easel.uploads import UNDECODABLE
from generation import sealed_images
from generation.engine.protocol import EngineError, Pixels
from generation.jobs import GivenObject, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPixels:
    """RGB, uint8 of shape (h, w, 3), each at its own size."""

    init_image: Pixels | None = None
    mask: Pixels | None = None


def fetch(job: Job, storage: Storage) -> GivenPixels:
    """Raises EngineError: permanent where the picture is gone or damaged, and otherwise worth another attempt.
    StorageUnavailable where the store is away: ask again."""
    return GivenPixels(init_image=_pixels(job.init_image, storage), mask=_pixels(job.mask, storage))


def _pixels(given: GivenObject | None, storage: Storage) -> Pixels | None:
    if given is None:
        return None
    try:
        file = b"".join(sealed_images.contents(storage, given.object_key, given.seal))
    except ObjectMissing as error:
        raise EngineError("input_missing", "A given picture is not in storage any more.", permanent=True) from error
    except StorageUnavailable:
        raise
    except CryptoError as error:
        raise EngineError("input_damaged", "A given picture was altered in storage.", permanent=True) from error
    except StorageError as error:
        raise EngineError("input_unreadable", f"A given picture could not be read: {error}", permanent=False) from error
    return _decoded(file)


def _decoded(file: bytes) -> Pixels:
    """What we wrote was a picture, so a file that is none was damaged, or cut, where it rests."""
    try:
        with Pictures.open(io.BytesIO(file)) as picture:
            return np.asarray(picture.convert("RGB"))
    except UNDECODABLE as error:
        raise EngineError("input_damaged", "A given picture was damaged in storage.", permanent=True) from error
