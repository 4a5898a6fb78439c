"""Who asks for it sees an image on its way; who set a deadline gets its place back in time."""

import io
import time
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image

from easel import metrics
from generation.engine.allowance import Allowance
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Admission, Checkpoint, DeadlinePassed, DrawingStopped, Preview
from generation.engine.sampling import Sampling
from tests.engine.asking import TOLERANCE, a_drawing, draw, farthest

STARTER = Path(__file__).resolve().parents[2] / "starter" / "weights"


def nobody(done: int, total: int) -> None:
    """Listens to progress without a word."""


def test_previews_come_at_the_parts_of_the_way_that_were_asked_for(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    seen: list[Preview] = []
    admission = Admission(
        drawing=a_drawing(checkpoint, steps=10), on_step=nobody, stop=Event(), preview_at=(0.8, 0.25),
        on_preview=seen.append,
    )  # fmt: skip
    engine.wait_for_slot(30)
    engine.admit(admission).result(30)
    assert [(preview.done, preview.total) for preview in seen] == [(3, 10), (8, 10)]
    for preview in seen:
        with Image.open(io.BytesIO(preview.jpeg)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (preview.width, preview.height))
            assert np.asarray(picture).std() > 10


@pytest.mark.parametrize("sampler", ["DPM++ 2M Karras", "Euler a", "Heun", "DDIM"])
def test_a_preview_near_the_end_is_nearly_the_picture(engine: LoopEngine, sampler: str) -> None:
    """Of the starter model, whose predictions mean something. (PLMS is left out: its last steps still move a lot.)"""
    seen: list[Preview] = []
    starter = Checkpoint(name="starter", source=str(STARTER), native_size=256)
    drawing = a_drawing(starter, prompt="a red apple", steps=10, sampler=sampler, width=256, height=256, cfg_scale=4.0)
    engine.wait_for_slot(30)
    future = engine.admit(
        Admission(drawing=drawing, on_step=nobody, stop=Event(), preview_at=(0.1, 0.9), on_preview=seen.append)
    )
    final = future.result(30).pixels.astype(float)
    early, late = (np.asarray(Image.open(io.BytesIO(preview.jpeg))).astype(float) for preview in seen)
    assert np.abs(late - final).mean() < np.abs(early - final).mean() / 2


@pytest.mark.parametrize(("slots", "previews"), [(1, 0), (2, 1)])
def test_without_an_allowance_previews_are_for_free_places_only(
    checkpoint: Checkpoint, slots: int, previews: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Preview] = []
    engine = LoopEngine(device="cpu", threads=1, most_slots=slots)
    monkeypatch.setattr(engine, "_courtesy", Allowance(0.0, most=0.0))
    unaffordable = metrics.PREVIEWS.labels("unaffordable")
    before = unaffordable._value.get()
    try:
        engine.wait_for_slot(30)
        admission = Admission(
            drawing=a_drawing(checkpoint), on_step=nobody, stop=Event(), preview_at=(0.5,), on_preview=seen.append
        )
        assert engine.admit(admission).result(30).pixels.std() > 0
    finally:
        engine.close()
    assert (len(seen), unaffordable._value.get() - before) == (previews, 1 - previews)


def test_an_allowance_is_a_share_of_the_work() -> None:
    allowance = Allowance(0.02, most=0.2)
    spent = 0.0
    for _ in range(1000):  # turns of 50 ms, each with a preview of 30 ms to decode
        allowance.earn(0.05)
        if allowance.left:
            allowance.spend(0.03)
            spent += 0.03
    assert spent == pytest.approx(0.02 * 50, abs=0.2 + 0.03)
    allowance.earn(10_000)
    spent = 0.0
    while allowance.left:
        allowance.spend(0.03)
        spent += 0.03
    assert spent == pytest.approx(0.21), "no more is saved up than a burst"


def test_a_large_picture_is_previewed_small(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    seen: list[Preview] = []
    drawing = a_drawing(checkpoint, steps=3, width=640, height=320)
    engine.wait_for_slot(30)
    engine.admit(
        Admission(drawing=drawing, on_step=nobody, stop=Event(), preview_at=(0.5,), on_preview=seen.append)
    ).result(60)
    assert [(preview.width, preview.height) for preview in seen] == [(256, 128)]


def test_being_watched_changes_no_pixel(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    drawing = a_drawing(checkpoint, steps=6)
    engine.wait_for_slot(30)
    watched = engine.admit(
        Admission(drawing=drawing, on_step=nobody, stop=Event(), preview_at=(0.5,), on_preview=lambda preview: None)
    )
    assert farthest(watched.result(30).pixels, draw(engine, checkpoint, steps=6).pixels) <= TOLERANCE


def test_a_viewer_that_fails_harms_nobody(
    engine: LoopEngine, checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(preview: Preview) -> None:
        raise KeyError("words of a prompt")

    engine.wait_for_slot(30)
    admission = Admission(
        drawing=a_drawing(checkpoint), on_step=nobody, stop=Event(), preview_at=(0.5,), on_preview=fail
    )
    assert engine.admit(admission).result(30).pixels.shape == (64, 64, 3)
    assert "Nobody looked at a preview" in caplog.text


def test_a_preview_that_memory_does_not_suffice_for_harms_nobody(
    engine: LoopEngine, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clean = Sampling.clean

    def run_out(sampling: Sampling) -> torch.Tensor:
        if sampling.done == 1:
            raise torch.OutOfMemoryError
        return clean(sampling)

    monkeypatch.setattr(Sampling, "clean", run_out)
    seen: list[Preview] = []
    engine.wait_for_slot(30)
    admission = Admission(
        drawing=a_drawing(checkpoint), on_step=nobody, stop=Event(), preview_at=(0.25, 0.5), on_preview=seen.append
    )
    assert engine.admit(admission).result(30).pixels.shape == (64, 64, 3)
    assert [preview.done for preview in seen] == [2]
    assert "could not be begun" in caplog.text


def test_a_viewer_can_have_the_drawing_stopped(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    stop = Event()
    drawing = a_drawing(checkpoint, steps=150)
    engine.wait_for_slot(30)
    future = engine.admit(
        Admission(drawing=drawing, on_step=nobody, stop=stop, preview_at=(0.1,), on_preview=lambda _: stop.set())
    )
    assert isinstance(future.exception(30), DrawingStopped)


def test_a_deadline_frees_the_place_within_a_step(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    steps: list[int] = []

    def slowly(done: int, total: int) -> None:
        steps.append(done)
        time.sleep(0.05)

    engine.wait_for_slot(30)
    admission = Admission(
        drawing=a_drawing(checkpoint, steps=100), on_step=slowly, stop=Event(), deadline=time.monotonic() + 0.5
    )
    error = engine.admit(admission).exception(30)
    assert isinstance(error, DeadlinePassed)
    assert (error.code, error.permanent) == ("deadline_exceeded", True)
    assert 0 < len(steps) < 20


def test_a_deadline_that_has_passed_costs_no_step(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    steps: list[int] = []
    engine.wait_for_slot(30)
    admission = Admission(
        drawing=a_drawing(checkpoint), on_step=lambda done, total: steps.append(done), stop=Event(),
        deadline=time.monotonic() - 1,
    )  # fmt: skip
    assert isinstance(engine.admit(admission).exception(30), DeadlinePassed)
    assert steps == []
