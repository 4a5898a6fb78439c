"""A sheet of samples for each of the models that the starter's styles are served as.

`python -m starter.samples` draws them into `starter/samples/`. The phrases are the prefixes that the platform
puts before every prompt of these models.
"""

import argparse
from pathlib import Path

from starter.digest import WEIGHTS
from starter.sheets import Artist, Cell, grid

SAMPLES = Path(__file__).with_name("samples")
COLUMNS = 6
SHOWN = {
    "starter-landscape": (
        "flat illustration of {}",
        ("mountain sunrise", "a beach", "a desert island", "a volcano", "a night city", "a rainbow",
         "a castle", "a house", "a church", "a forest", "sunset over the ocean", "snowy mountains"),
    ),
    "starter-portrait": (
        "3d render of {}",
        ("a woman", "a man with a beard", "a girl", "a boy", "an old man", "a woman with red hair",
         "a wizard", "an astronaut", "a cook", "a detective", "a firefighter", "a fairy"),
    ),
    "starter-cartoon": (
        "cartoon of {}",
        ("a cat", "a fox", "a dragon", "an owl", "a unicorn", "a robot",
         "a dog", "a ghost", "a panda", "a whale", "an alien", "a t-rex"),
    ),
}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    artist = Artist(parser.parse_args().model)
    for name, (phrase, things) in SHOWN.items():
        pictures = artist.draw([phrase.format(thing) for thing in things])
        cells = [Cell(picture, thing) for picture, thing in zip(pictures, things, strict=True)]
        grid(cells, columns=COLUMNS).save(SAMPLES / f"{name}.webp", quality=80)
