"""How many slots are worth having is measured, and memory has the last word."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from generation.engine.capacity import Capacity, measure
from generation.engine.device import Device
from generation.engine.notes import SlotNotes
from generation.engine.protocol import Checkpoint

RED, GREEN = Checkpoint(name="red", source="red"), Checkpoint(name="green", source="green")
CPU = Device("cpu", torch.float32)


def test_as_many_as_pay() -> None:
    assert measure(lambda slots: 0.01, most=16) == 16  # company costs nothing
    assert measure(lambda slots: 0.01 * slots, most=16) == 1  # company gains nothing
    assert measure(lambda slots: max(0.04, 0.01 * slots), most=16) == 4  # full with four
    assert measure(lambda slots: 0.01, most=12) == 8


def test_one_bad_moment_of_the_machine_does_not_decide() -> None:
    calls = count()

    def seconds_of(slots: int) -> float:
        return 0.5 if next(calls) in (1, 2, 6) else 0.01

    assert measure(seconds_of, most=16) == 16


def test_what_does_not_fit_is_not_worth_having() -> None:
    def seconds_of(slots: int) -> float:
        if slots > 2:
            raise torch.OutOfMemoryError
        return 0.01

    assert measure(seconds_of, most=16) == 2


def test_another_error_than_memory_is_no_measurement() -> None:
    def seconds_of(slots: int) -> float:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        measure(seconds_of, most=16)


def test_a_device_that_takes_seconds_a_call_is_not_measured_for_minutes() -> None:
    tried: list[int] = []

    def seconds_of(slots: int) -> float:
        tried.append(slots)
        return 60.0

    assert measure(seconds_of, most=16) == 1
    assert set(tried) == {1}


def test_larger_pictures_get_fewer_slots_and_smaller_ones_not_more_than_all() -> None:
    capacity = Capacity(most=16)
    capacity.learn(RED, slots=8, area=64 * 64)
    assert [capacity.slots(RED, edge * edge) for edge in (16, 64, 96, 128, 512)] == [16, 8, 3, 2, 1]


def test_out_of_memory_halves_and_is_remembered_for_that_model() -> None:
    capacity = Capacity(most=16)
    capacity.halve(RED, guests=12, area=100)
    assert (capacity.slots(RED, 100), capacity.slots(GREEN, 100)) == (6, 16)
    capacity.halve(RED, guests=16, area=100)
    assert capacity.slots(RED, 100) == 6
    for guests in (6, 3, 1):
        capacity.halve(RED, guests=guests, area=100)
    assert capacity.slots(RED, 100) == 1


def test_one_large_picture_that_does_not_fit_takes_no_places_from_small_ones() -> None:
    capacity = Capacity(most=16)
    capacity.learn(RED, slots=16, area=64 * 64)
    capacity.halve(RED, guests=2, area=256 * 256)
    assert (capacity.slots(RED, 256 * 256), capacity.slots(RED, 64 * 64), capacity.places) == (1, 16, 16)


def test_places_are_those_of_the_model_that_has_most() -> None:
    capacity = Capacity(most=16)
    assert capacity.places == 16
    capacity.learn(RED, slots=1, area=1)
    assert capacity.places == 1
    capacity.learn(GREEN, slots=4, area=100)
    assert capacity.places == 4


def test_slots_that_memory_took_grow_back_one_by_one_and_more_slowly_each_time() -> None:
    now = [1000.0]
    capacity = Capacity(most=16, clock=lambda: now[0])
    capacity.learn(RED, slots=8, area=64)
    capacity.halve(RED, guests=8, area=64)
    assert capacity.slots(RED, 64) == 4
    now[0] += 59
    assert capacity.slots(RED, 64) == 4
    now[0] += 1
    assert (capacity.slots(RED, 64), capacity.places) == (5, 5)
    capacity.halve(RED, guests=5, area=64)  # too soon
    now[0] += 60
    assert capacity.slots(RED, 64) == 2
    now[0] += 60
    assert capacity.slots(RED, 64) == 3
    now[0] += 10_000
    assert capacity.slots(RED, 64) == 8  # never more than was measured


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "run" / "slots.json"
    SlotNotes(file, device=CPU).note(RED, area=64, slots=7)
    again = SlotNotes(file, device=CPU)
    assert again.recall(RED, area=64) == 7
    assert again.recall(RED, area=128) is None
    assert again.recall(GREEN, area=64) is None


@pytest.mark.parametrize("other", [replace(CPU, dtype=torch.bfloat16), replace(CPU, compiler="inductor")])
def test_what_was_measured_with_other_numbers_or_another_compiler_is_measured_anew(
    tmp_path: Path, other: Device
) -> None:
    file = tmp_path / "slots.json"
    SlotNotes(file, device=CPU).note(RED, area=64, slots=7)
    assert SlotNotes(file, device=other).recall(RED, area=64) is None


@pytest.mark.parametrize("spoiled", ["", "{", "[]", '{"a": 1}'])
def test_notes_that_cannot_be_read_are_made_anew(tmp_path: Path, spoiled: str) -> None:
    file = tmp_path / "slots.json"
    file.write_text(spoiled)
    notes = SlotNotes(file, device=CPU)
    assert notes.recall(RED, area=64) is None
    notes.note(RED, area=64, slots=3)
    assert notes.recall(RED, area=64) == 3
