"""What the classifier knows of a prompt beside its embedding."""

import numpy as np
import pytest

from moderation.screening.texts import together
from moderation.text.letters import BUCKETS, LONGEST, runs, spelled


@pytest.mark.parametrize("written", ["安静的湖", "an jing de hu", "anjing的hu", "安 静 的 湖"])
def test_characters_pinyin_and_mixtures_of_both_are_the_same_runs(written: str) -> None:
    assert spelled(written) == "anjingdehu"
    assert runs(written).tolist() == runs("安静的湖").tolist()


def test_another_order_of_words_leaves_most_runs_as_they_are() -> None:
    said, turned = runs("harbor painting morning light"), runs("light morning painting harbor")
    assert len(np.intersect1d(said, turned)) > 0.5 * len(said)


@pytest.mark.parametrize("written", ["", "ab", "1234 !?", "㐂㐃", "\U00020000", "émigré ünï"])
def test_whatever_somebody_writes_has_runs_or_none(written: str) -> None:
    found = runs(written)
    assert found.dtype == np.int64
    assert ((found >= 0) & (found < BUCKETS)).all()


def test_the_longest_prompt_costs_no_more_than_its_first_letters() -> None:
    assert runs("湖" * 50_000).tolist() == runs("湖" * LONGEST).tolist()


def test_two_words_are_weighed_and_a_share_of_nothing_leaves_the_first() -> None:
    probabilities, logits = np.array([[0.9, 0.2]], np.float32), np.array([[-2.0, 3.0]], np.float32)
    assert together(probabilities, logits, 0.0) == pytest.approx(probabilities, abs=1e-5)
    low, high = together(probabilities, logits, 0.5)[0]
    assert low < 0.9
    assert high > 0.2
