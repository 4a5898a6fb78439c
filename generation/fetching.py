"""The pictures a job starts from, out of storage and decoded, before it is admitted."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pictures

from easel.storage import ObjectMissing, Storage, StorageError, StorageUnavailable
from generation.engine.protocol import EngineError, Pixels
from generation.source import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPixels:
    """RGB, uint8 of shape (h, w, 3), each at its own size."""

    init_image: Pixels | None = None
    mask: Pixels | None = None


def fetch(job: Job, storage: Storage) -> GivenPixels:
    """Raises EngineError: permanent where the picture is gone, and otherwise worth another attempt. StorageUnavailable
    where the store is away: ask again."""
    return GivenPixels(init_image=_pixels(job.init_image, storage), mask=_pixels(job.mask, storage))


def _pixels(object_key: str, storage: Storage) -> Pixels | None:
    if not object_key:
        return None
    try:
        with Pictures.open(io.BytesIO(storage.get(object_key))) as picture:
            return np.asarray(picture.convert("RGB"))
    except ObjectMissing as error:
        raise EngineError("input_missing", "A given picture is not in storage any more.", permanent=True) from error
    except StorageUnavailable:
        raise
    except StorageError as error:
        raise EngineError("input_unreadable", f"A given picture could not be read: {error}", permanent=False) from error
