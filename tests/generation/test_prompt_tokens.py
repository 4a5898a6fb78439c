"""Tokens are counted as the worker's own library counts them."""

from pathlib import Path

import pytest
from django.conf import settings
from tokenizers import Tokenizer

from generation import prompt_tokens
from generation.models import Model

PROMPTS = (
    "", "a red apple, 3d render", "An OWL's   house\n(blue) 2024!!", "一个红苹果、3d渲染", "naïve café — très bon",
    "_under_score_ & co. it's we're 👍🏽", "supercalifragilisticexpialidocious " * 9,
)  # fmt: skip


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_starters_tokens_are_counted_exactly(prompt: str) -> None:
    folder = Path(settings.STARTER_FOLDER)
    counted = prompt_tokens.count(prompt, Model(source=str(folder)))
    library = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    assert counted.exact
    assert counted.tokens - prompt_tokens.FRAME == len(library.encode(prompt, add_special_tokens=False).ids)
    assert counted.limit == 32
    assert counted.over == (counted.tokens > 32)


def test_a_models_prefix_counts_too() -> None:
    plain, styled = Model(source=str(settings.STARTER_FOLDER)), Model(source=str(settings.STARTER_FOLDER))
    styled.prompt_prefix = "3d render of"
    for text in ("a cat", "red apples", "15 owls"):
        whole = prompt_tokens.count(f"3d render of {text}", plain)
        assert prompt_tokens.count(text, styled) == whole
    assert prompt_tokens.count("", styled).tokens == prompt_tokens.FRAME


def test_elsewhere_it_is_a_guess_that_says_so() -> None:
    counted = prompt_tokens.count("a red apple", Model(source="owner/model"))
    assert (counted.exact, counted.limit) == (False, 77)
    assert 5 <= counted.tokens <= 8
