import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import pricing


@pytest.mark.parametrize(
    ("calls", "width", "height", "factor", "expected"),
    [
        (20, 512, 512, 1.0, 6),  # 5.24 units of work
        (20, 1024, 1024, 1.0, 21),
        (50, 1024, 1024, 4.0, 210),
        (20, 128, 128, 0.01, 1),  # every image costs at least one credit
        (39, 512, 512, 1.0, 11),  # Heun at 20 steps calls the model 39 times
        (25, 1000, 1000, 2.2, 55),  # 55.00000000000001 in floating point
        (25, 1001, 1000, 2.2, 56),
    ],
)
def test_an_image_costs_its_work_rounded_up(calls: int, width: int, height: int, factor: float, expected: int) -> None:
    work = pricing.image_work(calls=calls, width=width, height=height, factor=factor)
    assert pricing.image_credits(work) == expected


def settled(quote: int = 40, n: int = 4, steps: int = 20, stored: tuple[int, ...] = (), **more: tuple[int, ...]) -> int:
    return pricing.settled_credits(quote, n=n, steps=steps, stored=stored, **more)


def test_every_image_stored_in_full_costs_the_quote() -> None:
    assert settled(stored=(20, 20, 20, 20)) == 40


def test_only_what_was_stored_is_charged() -> None:
    assert settled(stored=(20, 20, 20)) == 30
    assert settled(stored=()) == 0


def test_saved_steps_lower_the_price() -> None:
    assert settled(stored=(10, 20, 20, 20)) == 35


def test_a_canceled_image_costs_the_steps_it_took_rounded_down() -> None:
    assert settled(stored=(20,), abandoned=(7, 1)) == 10 + 3 + 0


def test_an_image_that_is_stored_costs_at_least_one_credit() -> None:
    assert settled(quote=4, stored=(0, 1)) == 2


def test_more_calls_than_steps_never_cost_more_than_the_quote() -> None:
    assert settled(stored=(39, 39, 39, 39)) == 40


@given(
    each=st.integers(1, 500),
    n=st.integers(1, 8),
    steps=st.integers(1, 150),
    runs=st.lists(st.integers(0, 300), max_size=8),
    cut=st.integers(0, 8),
)
def test_no_ending_costs_more_than_the_quote(each: int, n: int, steps: int, runs: list[int], cut: int) -> None:
    charge = pricing.settled_credits(each * n, n=n, steps=steps, stored=runs[:cut], abandoned=runs[cut:])
    assert 0 <= charge <= each * n


@given(quote=st.integers(1, 10_000), percent=st.integers(0, 100))
def test_an_answer_from_the_cache_costs_a_share_of_the_quote(quote: int, percent: int) -> None:
    assert 0 <= pricing.cached_credits(quote, percent=percent) <= quote
    assert (pricing.cached_credits(quote, percent=percent) == 0) == (percent == 0)
