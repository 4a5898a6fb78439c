"""The pictures that recognition judges: drawn once, kept small, continued after a stop.

Drawing is what costs hours; judging costs seconds. So pictures are kept at the size that the classifier sees
(a line of JSON each, appended batch by batch), and every classifier judges the same ones.
"""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from starter.classifier import SIDE
from starter.digest import folder_digest
from starter.precision import reduced
from starter.questions import Question
from starter.sheets import Artist
from starter.workspace import Workspace

BATCH = 12
Pixels = npt.NDArray[np.uint8]  # [40, 40, 3]
Key = tuple[str, int]  # prompt, seed


@dataclass(frozen=True)
class DrawnPictures:
    """One model's pictures in one folder, named after the model's digest."""

    folder: Path

    @classmethod
    def of(cls, work: Workspace, model: Path) -> "DrawnPictures":
        folder = work.root / f"drawn-{folder_digest(model)[:12]}"
        folder.mkdir(exist_ok=True)
        return cls(folder)

    def load(self) -> dict[Key, Pixels]:
        return {
            key: pixels for file in sorted(self.folder.glob("*.jsonl")) for key, pixels in read_lines(file)
        }

    def draw(self, model: Path, asked: list[Question], *, part: int, parts: int) -> None:
        """Draw what is missing of every `parts`-th batch; several processes share the work so."""
        present = self.load()
        batches = [asked[first : first + BATCH] for first in range(0, len(asked), BATCH)][part::parts]
        missing = [[q for q in batch if (q.prompt, q.seed) not in present] for batch in batches]
        missing = [batch for batch in missing if batch]
        artist, start = Artist(model), time.monotonic()
        with (self.folder / f"part-{part}-of-{parts}.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n")  # a killed run may have left half a line
            for done, batch in enumerate(missing, 1):
                with reduced():  # a third faster; differs by 0.3 of 255 levels
                    images = artist.draw([q.prompt for q in batch], seeds=[q.seed for q in batch])
                file.writelines(line_of(q, small(image)) for q, image in zip(batch, images, strict=True))
                file.flush()
                if done % 10 == 0:
                    spent = time.monotonic() - start
                    left = spent / done * (len(missing) - done) / 60
                    print(f"{done} of {len(missing)} batches, {left:.0f} minutes left", flush=True)


def line_of(question: Question, pixels: Pixels) -> str:
    encoded = base64.b64encode(pixels.tobytes()).decode()
    return json.dumps([question.prompt, question.seed, encoded], ensure_ascii=False) + "\n"


def read_lines(file: Path) -> Iterator[tuple[Key, Pixels]]:
    for line in file.read_text("utf-8").splitlines():
        try:
            prompt, seed, encoded = json.loads(line)
        except ValueError:
            continue  # empty, or the half line of a killed run: drawn again
        yield (prompt, seed), np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(SIDE, SIDE, 3)


def small(image: Image.Image) -> Pixels:
    """What the classifier sees of a picture: 40×40, averaged over areas."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
    averaged = F.interpolate(pixels, SIDE, mode="area")[0].permute(1, 2, 0)
    return averaged.round().to(torch.uint8).numpy()
