"""Warnings and refusals are kept in English, and read in the reader's language: whatever says them is known here."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from easel.database import changed, platform_role
from generation.assignment import FELL_SHORT
from generation.engine import backup, picture
from generation.outcomes import PARTLY
from generation.refusals import AFTER, BEFORE
from generation.said import SHAPES, translated
from generation.takedown import TAKEN
from tests.cast import Customer
from tests.generation.conftest import make_workshop
from tests.tenants.people import let_in, person


class Words:
    """A tokenizer with a token for each word, and room for three of them."""

    model_max_length = 5

    def __call__(self, text: str, **_: object) -> Any:
        return SimpleNamespace(input_ids=text.split())


def of_the_engine(size: int) -> list[str]:
    model: Any = SimpleNamespace(pipeline=SimpleNamespace(tokenizer=Words()))
    drawing: Any = SimpleNamespace(
        checkpoint=SimpleNamespace(name="tiny (1)", native_size=64), width=size, height=size,
        prompt="a red (very red) apple", negative_prompt="one two\nthree four",
    )  # fmt: skip
    return picture.warnings(model, drawing)


SAID = [
    *of_the_engine(96),
    *of_the_engine(32)[-1:],
    backup.WARNING,
    PARTLY.format(refused=1, n=4, category="violence/graphic"),
    FELL_SHORT.format(failed=1, n=4, code="not_a_picture"),
    TAKEN.format(index=2),
    AFTER.format(category="sexual"),
    BEFORE.format(category="own"),
]


@pytest.mark.parametrize("text", SAID)
def test_each_text_is_read_in_chinese_and_is_the_same_in_english(text: str) -> None:
    with translation.override("zh-hans"):
        words = translated(text)
    assert words is not None
    assert any("\u4e00" <= letter <= "\u9fff" for letter in words)
    with translation.override("en"):
        again = translated(text)
    assert again == text or "(" in text, "but for the category, which is named in words"


def test_every_shape_is_somebodys() -> None:
    assert len(SAID) == len(SHAPES)
    assert all(any(shape.fullmatch(text) for text in SAID) for shape, _words in SHAPES)


def test_another_text_is_shown_as_it_is_and_marked_as_english(ada: Customer) -> None:
    generation_id = make_workshop("nowhere").submit(ada)
    with platform_role():
        changed(
            "UPDATE generation_generation SET warnings = %s WHERE id = %s",
            [[TAKEN.format(index=1), "Something <new>."], generation_id],
        )
    browser: Client = let_in(person(ada.tenant, "developer"))
    text = browser.get(f"/console/gallery/{generation_id}", headers={"accept-language": "zh-CN"}).content.decode()
    assert '<span lang="en">Something &lt;new&gt;.</span>' in text
    assert "taken down" not in text
