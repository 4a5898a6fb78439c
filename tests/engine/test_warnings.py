"""What a customer would not expect of a picture is said beside it."""

from dataclasses import replace

import pytest

from generation.engine.protocol import Checkpoint, Engine
from tests.engine.asking import draw


@pytest.fixture
def starter(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, name="starter", native_size=64)


def test_an_ordinary_picture_has_none(engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint).warnings == []


def test_how_much_is_read_of_a_prompt_beyond_the_limit_is_said(engine: Engine, checkpoint: Checkpoint) -> None:
    letters = "a b c d e f g h i j k l m n o p"  # the tiny model reads one token a letter, fourteen in all
    warnings = draw(engine, checkpoint, prompt=letters, negative_prompt=letters + " q").warnings
    assert warnings == [
        "The prompt is 16 tokens long, and tiny reads 14: the rest had no effect.",
        "The negative prompt is 17 tokens long, and tiny reads 14: the rest had no effect.",
    ]


def test_a_prompt_that_just_fits_has_none(engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint, prompt="a b c d e f g h i j k l m n").warnings == []


def test_a_warning_repeats_no_word_of_a_prompt(engine: Engine, checkpoint: Checkpoint) -> None:
    """Prompts rest sealed, and warnings in clear."""
    (warning,) = draw(engine, checkpoint, prompt="xylophone " * 500).warnings
    assert "xylophone" not in warning.replace(" ", "")


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [
        (256, 256, "starter draws at 64×64; the picture was enlarged to 256×256."),
        (160, 96, "starter draws at 64×64; the picture was enlarged to 160×96."),
        (48, 32, "starter draws at 64×64; the picture was reduced to 48×32."),
    ],
)
def test_another_size_than_the_models_own_is_drawn_there_and_fitted(
    width: int, height: int, said: str, engine: Engine, starter: Checkpoint
) -> None:
    drawn = draw(engine, starter, width=width, height=height)
    assert drawn.pixels.shape == (height, width, 3)
    assert drawn.warnings == [said]


def test_the_models_own_size_needs_no_word(engine: Engine, starter: Checkpoint) -> None:
    assert draw(engine, starter).warnings == []
