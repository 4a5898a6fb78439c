"""Judge the exported model: recognition by classifiers, and timings.

    python -m starter.evaluate classifier        trains the four classifiers
    python -m starter.evaluate draw              draws the pictures to judge; resumes
    python -m starter.evaluate recognition       prints the table of the model card
    python -m starter.evaluate timings

Recognition asks for every concept by name in every style, by a synonym and in Chinese; a picture counts when
the classifier, which has seen the artwork only, ranks the concept first (top-1) or among five (top-5).
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from starter.classifier import train_classifier
from starter.concepts import Concept
from starter.digest import WEIGHTS
from starter.drawn import DrawnPictures
from starter.questions import BY_NAME, questions
from starter.recognition import ALL_STYLES, Recognition, recognize, recognize_unseen
from starter.sheets import GUIDANCE, STEPS, Artist
from starter.workspace import Workspace

SEEDS = 4


def report(work: Workspace, model: Path, *, seeds: int) -> Iterator[str]:
    """The table of the model card, in lines."""
    concepts, _, _ = work.load_pictures()
    asked, drawn = questions(concepts, seeds), DrawnPictures.of(work, model)
    found = recognize(work, drawn, asked)
    yield "| asked by name in | top-1 | top-5 | pictures |"
    yield "|---|---|---|---|"
    for group in sorted(found.scores, key=lambda name: (name not in BY_NAME, name != ALL_STYLES)):
        yield f"| {group} | {found.scores[group]} |"
    yield ""
    yield "| style it never saw | drawn: top-1 | top-5 | pictures | real artwork: top-1 | top-5 | pictures |"
    yield "|---|---|---|---|---|---|---|"
    for style, (generated, real) in recognize_unseen(work, drawn, asked).items():
        yield f"| {style} | {generated} | {real} |"
    yield ""
    yield f"Top-1, top-5 by seed: {'; '.join(str(found.by_seed[seed]) for seed in sorted(found.by_seed))}"
    yield f"Left out, of seeds that are not whole: {found.left_out}"
    yield f"Not among five with two seeds or more: {', '.join(often_missed(found, concepts)) or 'none'}"


def often_missed(found: Recognition, concepts: list[Concept]) -> list[str]:
    return [f"{concepts[c].name} ({style}, {n})" for (c, style), n in sorted(found.missed.items()) if n > 1]


def timings(folder: Path) -> dict[str, float]:
    """Seconds an image, median of three, by batch size; two threads."""
    artist = Artist(folder)
    torch.set_num_threads(2)
    artist.draw(["a cat"], steps=2)
    result = {}
    for size in (1, 4, 8):
        spent = []
        for _ in range(3):
            start = time.monotonic()
            artist.pipeline(["a cat"] * size, num_inference_steps=STEPS, guidance_scale=GUIDANCE)
            spent.append((time.monotonic() - start) / size)
        result[f"batch {size}"] = round(statistics.median(spent), 3)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    Workspace.add_option(parser)
    parser.add_argument("what", choices=("classifier", "draw", "recognition", "timings"))
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=1500, help="of each classifier's training")
    parser.add_argument(
        "--without", choices=BY_NAME, help="train only the classifier that never sees this style"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--part", type=int, default=0, help="of the pictures to draw")
    parser.add_argument("--parts", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    workspace = Workspace.of(options)
    if options.what == "timings":
        print(json.dumps(timings(options.model)))
    else:
        torch.set_num_threads(1)
    if options.what == "classifier":
        for style in [options.without] if options.without else [None, *BY_NAME]:
            train_classifier(workspace, steps=options.steps, without=style)
    elif options.what == "draw":
        everything = questions(workspace.load_pictures()[0], options.seeds)
        pictures = DrawnPictures.of(workspace, options.model)
        pictures.draw(options.model, everything, part=options.part, parts=options.parts)
    elif options.what == "recognition":
        for line in report(workspace, options.model, seeds=options.seeds):
            print(line)
