"""A device that hangs is waited for within bounds: then the process ends, and its leases with it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from easel.embedded.var import ROOT
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from tests.engine.asking import a_drawing, admit, draw

HANG_SECONDS = 0.6


@pytest.fixture
def ended() -> Event:
    return Event()


@pytest.fixture
def engine(checkpoint: Checkpoint, ended: Event) -> Iterator[LoopEngine]:
    engine = LoopEngine(device="cpu", threads=1, hang_seconds=HANG_SECONDS, device_hung=ended.set)
    draw(engine, checkpoint)
    yield engine
    engine.close()


def test_a_step_that_never_ends_ends_the_process(
    engine: LoopEngine, checkpoint: Checkpoint, ended: Event, caplog: pytest.LogCaptureFixture
) -> None:
    back = Event()

    def hang(done: int, total: int) -> None:
        assert back.wait(30)

    future = admit(engine, a_drawing(checkpoint), on_step=hang)
    assert ended.wait(10)
    assert [record.levelname for record in caplog.records if "not answered" in record.message] == ["CRITICAL"]
    back.set()
    future.result(timeout=30)


def test_neither_a_long_drawing_nor_a_long_rest_does(engine: LoopEngine, checkpoint: Checkpoint, ended: Event) -> None:
    steps = 20
    admit(engine, a_drawing(checkpoint, steps=steps), on_step=lambda *_: time.sleep(2 * HANG_SECONDS / steps)).result(
        timeout=30
    )
    assert not ended.wait(2 * HANG_SECONDS)
    assert draw(engine, checkpoint).steps_run == 4


def test_a_model_may_take_its_time_to_be_loaded(
    engine: LoopEngine, checkpoint: Checkpoint, ended: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[..., object] = engine._studio.models._load

    def slowly(wanted: Checkpoint) -> object:
        with engine._watchdog.unwatched():
            time.sleep(2 * HANG_SECONDS)
        return load(wanted)

    monkeypatch.setattr(engine._studio.models, "_load", slowly)
    engine._studio.models.clear()
    assert draw(engine, checkpoint).steps_run == 4
    assert not ended.is_set()


def test_the_process_ends_whatever_its_threads_are_stuck_in() -> None:
    stuck = (
        "import time; from generation.engine.watchdog import Watchdog; "
        "watchdog = Watchdog(seconds=0.2); watchdog.on(); time.sleep(60)"
    )
    process = subprocess.run([sys.executable, "-c", stuck], cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert process.returncode == 1
    assert b"has not answered" in process.stderr
