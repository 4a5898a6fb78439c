"""Long prompts in parts."""

from hypothesis import given
from hypothesis import strategies as st

from moderation.data.make import load
from moderation.text.parts import LONGEST, READ, STEP, Parted, parts
from moderation.text.reading import readable


def test_what_is_as_short_as_the_prompts_of_the_training_is_one_part() -> None:
    for record in load("test"):
        text = readable(record["text"])
        assert parts(text) == [text]


def test_any_phrase_lies_in_one_part_whole() -> None:
    words = [f"word{n}" for n in range(200)]
    text = " ".join(words)
    for start in range(0, 200, 3):
        phrase = " ".join(words[start : start + 8])
        assert len(phrase) <= STEP
        assert any(phrase in part for part in parts(text)), phrase


def test_a_chinese_character_counts_as_four_letters() -> None:
    text = "\u4e00" * (LONGEST // 4)
    assert parts(text) == [text]
    assert len(parts(text + "\u4e00")) == 2


@given(st.text(max_size=3_000))
def test_the_parts_have_all_that_a_model_may_read_and_not_much_more(text: str) -> None:
    found = parts(text)
    assert 1 <= len(found) <= READ / STEP + 2
    if len(found) > 1:
        assert all(len(part) <= LONGEST for part in found)
        letters = "".join(text.split())[: READ // 4 - LONGEST]
        assert set(letters) <= set("".join(found))


def test_the_parts_of_many_texts_stand_in_one_list() -> None:
    parted = Parted.of(["short", "long words " * 40, ""])
    assert [parted.flat[rows] for rows in parted.rows] == [parts("short"), parts("long words " * 40), [""]]
