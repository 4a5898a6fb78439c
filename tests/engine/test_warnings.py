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


def test_a_prompt_beyond_the_limit_is_quoted_from_where_it_was_not_read(engine: Engine, checkpoint: Checkpoint) -> None:
    letters = "a b c d e f g h i j k l m n o p"  # the tiny model reads one token a letter, fourteen in all
    warnings = draw(engine, checkpoint, prompt=letters, negative_prompt=letters + " q").warnings
    assert warnings == [
        "The prompt is 16 tokens long, and tiny reads 14: “o p” had no effect.",
        "The negative prompt is 17 tokens long, and tiny reads 14: “o p q” had no effect.",
    ]


def test_a_prompt_that_just_fits_has_none(engine: Engine, checkpoint: Checkpoint) -> None:
    assert draw(engine, checkpoint, prompt="a b c d e f g h i j k l m n").warnings == []


def test_a_very_long_prompt_is_not_repeated_in_full(engine: Engine, checkpoint: Checkpoint) -> None:
    (warning,) = draw(engine, checkpoint, prompt="long " * 500).warnings
    assert "…”" in warning
    assert len(warning) < 200


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
