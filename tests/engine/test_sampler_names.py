"""Samplers are found by the names A1111 gave them."""

import pytest

from generation.samplers import REFUSED, SAMPLERS, UnknownSampler, find


@pytest.mark.parametrize("written", ["DPM++ 2M Karras", "dpm++ 2m karras", " DPM++2M  KARRAS "])
def test_case_and_spaces_do_not_matter(written: str) -> None:
    assert find(written).name == "DPM++ 2M Karras"


def test_simple_is_the_spacing_diffusers_has_for_it() -> None:
    assert find("Euler Simple") is find("Euler SGM Uniform")


@pytest.mark.parametrize("name", [*REFUSED, "DDIM Karras", "Euler b", "", "Simple"])
def test_another_name_is_refused_with_all_that_are_valid(name: str) -> None:
    with pytest.raises(UnknownSampler) as refusal:
        find(name)
    assert refusal.value.valid == [sampler.name for sampler in SAMPLERS]
    assert "DPM++ 2M Karras" in str(refusal.value)


def test_every_name_finds_itself_and_only_itself() -> None:
    assert [find(sampler.name) for sampler in SAMPLERS] == list(SAMPLERS)


def test_the_usual_names_are_there() -> None:
    usual = [
        "Euler", "Euler a", "Heun", "LMS", "LMS Karras", "DDIM", "PLMS", "UniPC", "LCM", "DPM2", "DPM2 a",
        "DPM2 Karras", "DPM2 a Karras", "DPM++ 2M", "DPM++ 2M Karras", "DPM++ SDE", "DPM++ SDE Karras", "DPM++ 2M SDE",
        "DPM++ 2M SDE Karras", "DPM++ 2M SDE Exponential", "DPM++ 3M SDE", "DPM++ 3M SDE Karras",
    ]  # fmt: skip
    assert [find(name).name for name in usual] == usual
