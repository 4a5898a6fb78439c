"""What the process answers: texts and pictures, each from memory, or from its model's batch."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from PIL import Image
from prometheus_client import Counter, Gauge, Histogram

from moderation.screening.batches import Batches
from moderation.screening.files import ModelUnusable
from moderation.screening.images import ImageScorer, decode, perceptual_hash
from moderation.screening.memory import Memory, digest
from moderation.screening.texts import Embedder, Heads, TextReading, highest, whole
from moderation.text.parts import Parted

log = structlog.get_logger(__name__)

REMEMBERED_TEXTS: Final = 4_096  # at 1.6 kB each
REMEMBERED_IMAGES: Final = 4_096
ANSWERED = Counter("easel_screening_answered", "Texts and images answered, from memory or a model.", ["kind", "source"])
SECONDS = Histogram(
    "easel_screening_batch_seconds",
    "One call of a model.",
    ["kind"],
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
UNUSABLE = Gauge("easel_screening_model_unusable", "1 where a model could not be loaded.", ["kind"])
Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class ImageReading:
    """What the models make of one picture. `phash` is 16 hexadecimal digits."""

    scores: dict[str, float]
    phash: str
    scorer: str


class Desk:
    """A model that cannot be loaded leaves its half of the desk closed, and the reason in the log."""

    def __init__(
        self, embedder: Callable[[], Embedder], heads: Callable[[], Heads], scorer: Callable[[], ImageScorer]
    ) -> None:
        self._embedder = _opened("text", embedder)
        self._heads = _opened("heads", heads)
        self._scorer = _opened("image", scorer)
        self._texts = Batches("text", self._read_texts, largest=16)
        self._images = Batches("image", self._read_images, largest=4)
        self._known_texts: Memory[TextReading] = Memory(REMEMBERED_TEXTS)
        self._known_images: Memory[ImageReading] = Memory(REMEMBERED_IMAGES)

    @property
    def closed(self) -> list[str]:
        """The models that are missing."""
        models = {"text": self._embedder, "heads": self._heads, "image": self._scorer}
        return [name for name, model in models.items() if model is None]

    @property
    def heads_version(self) -> str:
        return self._heads.version if self._heads else ""

    def depths(self) -> dict[str, int]:
        return {"text": self._texts.depth(), "image": self._images.depth()}

    def texts(self, texts: Sequence[str], *, seconds: float) -> list[TextReading]:
        """Raises ModelUnusable, TooMuchWaiting, TimeoutError."""
        if self._embedder is None:
            raise ModelUnusable("The text model is not loaded.")
        keys = [digest(text.encode("utf-8", "surrogatepass")) for text in texts]
        known = [self._known_texts.get(key) for key in keys]
        # A text that stands twice in one question is read once.
        missing = {key: text for key, text, reading in zip(keys, texts, known, strict=True) if reading is None}
        asked: dict[bytes, Future[TextReading]] = {key: self._texts.ask(text) for key, text in missing.items()}
        deadline = time.monotonic() + seconds
        for key, future in asked.items():
            self._known_texts.put(key, future.result(timeout=max(0.0, deadline - time.monotonic())))
        ANSWERED.labels("text", "memory").inc(len(texts) - len(asked))
        ANSWERED.labels("text", "model").inc(len(asked))
        fresh = {key: future.result() for key, future in asked.items()}
        return [fresh[key] if reading is None else reading for key, reading in zip(keys, known, strict=True)]

    def image(self, data: bytes, *, seconds: float) -> ImageReading:
        """Raises UnreadableImage, ModelUnusable, TooMuchWaiting, TimeoutError."""
        if self._scorer is None:
            raise ModelUnusable("The image model is not loaded.")
        key = digest(data)
        known = self._known_images.get(key)
        if known is not None:
            ANSWERED.labels("image", "memory").inc()
            return known
        picture = decode(data)
        reading = self._images.ask(picture).result(timeout=seconds)
        ANSWERED.labels("image", "model").inc()
        self._known_images.put(key, reading)
        return reading

    def _read_texts(self, texts: Sequence[str]) -> list[TextReading]:
        assert self._embedder is not None  # noqa: S101  texts() has looked
        with SECONDS.labels("text").time():
            parted = Parted.of(texts)
            embeddings = self._embedder.embed(parted.flat)
            scores: list[dict[str, float]] = (
                self._heads.scores(parted.flat, embeddings) if self._heads else [{} for _ in parted.flat]
            )
        return [TextReading(whole(embeddings[rows], parted.flat[rows]), highest(scores[rows])) for rows in parted.rows]

    def _read_images(self, pictures: Sequence[Image.Image]) -> list[ImageReading]:
        assert self._scorer is not None  # noqa: S101  image() has looked
        with SECONDS.labels("image").time():
            scores = self._scorer.score(pictures)
        return [
            ImageReading(found, f"{perceptual_hash(picture):016x}", self._scorer.name)
            for picture, found in zip(pictures, scores, strict=True)
        ]


def _opened(kind: str, load: Callable[[], Model]) -> Model | None:
    try:
        model = load()
    except ModelUnusable:
        UNUSABLE.labels(kind).set(1)
        log.exception("screening.model_unusable", model=kind)
        return None
    UNUSABLE.labels(kind).set(0)
    return model
