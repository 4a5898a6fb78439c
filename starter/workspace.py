"""Where a training run keeps its intermediate files: one folder, named files, nothing committed."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from starter.concepts import Concept

DEFAULT_WORK = Path("var/starter")


@dataclass(frozen=True)
class Picture:
    """Which concept (its index) a picture shows, and in which style (its id)."""

    concept: int
    style: str


@dataclass(frozen=True)
class Workspace:
    root: Path

    @classmethod
    def add_option(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder for intermediate files")

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Workspace":
        root: Path = options.work
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    @property
    def packages(self) -> Path:
        return self.root / "packages"

    @property
    def vae(self) -> Path:
        return self.root / "vae"

    @property
    def tokenizer(self) -> Path:
        return self.root / "tokenizer"

    @property
    def text_encoder(self) -> Path:
        return self.root / "text_encoder"

    @property
    def latents(self) -> Path:
        return self.root / "latents.pt"

    @property
    def checkpoint(self) -> Path:
        return self.root / "unet.pt"

    def classifier(self, without: str | None = None) -> Path:
        """`without` names the style that it never saw."""
        return self.root / (f"classifier-without-{without}.pt" if without else "classifier.pt")

    @property
    def small_pictures(self) -> Path:
        return self.root / "small_pictures.pt"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    def save_pictures(
        self,
        concepts: Sequence[Concept],
        pictures: Sequence[Picture],
        pixels: Sequence[npt.NDArray[np.uint8]],
    ) -> None:
        np.save(self.root / "pictures.npy", np.stack(pixels))
        content = {"concepts": [asdict(c) for c in concepts], "pictures": [asdict(p) for p in pictures]}
        (self.root / "pictures.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")

    def load_pictures(self) -> tuple[list[Concept], list[Picture], npt.NDArray[np.uint8]]:
        """Concepts, what each picture shows, and the pictures [n, 256, 256, 4] (mapped, not read)."""
        content = json.loads((self.root / "pictures.json").read_text("utf-8"))
        concepts = [Concept.of_json(entry) for entry in content["concepts"]]
        pictures = [Picture(**entry) for entry in content["pictures"]]
        return concepts, pictures, np.load(self.root / "pictures.npy", mmap_mode="r")

    def log(self, stage: str, **values: float) -> None:
        """Append one line to the metrics log."""
        rounded = {key: round(value, 5) for key, value in values.items()}
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": stage, **rounded}) + "\n")
