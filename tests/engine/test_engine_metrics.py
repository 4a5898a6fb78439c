"""What the engine tells Prometheus."""

from threading import Event

import pytest
from prometheus_client import REGISTRY

from generation.engine.gauges import DeviceWatch, Processor, Reading, probe_of
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from tests.engine.asking import a_drawing, admit, draw


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_drawn_images_and_steps_are_counted(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    before = [
        told("easel_engine_images_total", outcome="drawn"),
        told("easel_engine_step_seconds_count", model="tiny"),
        told("easel_quality_score_count", model="tiny"),
    ]
    draw(engine, checkpoint, steps=3)
    after = [
        told("easel_engine_images_total", outcome="drawn"),
        told("easel_engine_step_seconds_count", model="tiny"),
        told("easel_quality_score_count", model="tiny"),
    ]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [1, 3, 1]
    assert told("easel_engine_slots", model="tiny") >= 1
    assert told("easel_engine_busy_slots", model="tiny") == 0


def test_failures_are_counted_by_their_code(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    before = told("easel_engine_images_total", outcome="sampler_unknown")
    admit(engine, a_drawing(checkpoint, sampler="Magic")).exception(30)
    assert told("easel_engine_images_total", outcome="sampler_unknown") == before + 1


def test_the_processor_tells_its_share_and_memory() -> None:
    watch = DeviceWatch("cpu", probe_of("cpu"))
    sum(number * number for number in range(300_000))
    watch.look()
    watch.close()
    assert 0 < told("easel_device_utilization_ratio", device="cpu") <= 1
    used, total = (told("easel_device_memory_bytes", device="cpu", kind=kind) for kind in ("used", "total"))
    assert 0 < used < total


@pytest.mark.parametrize(("used", "threads", "share"), [(9.7, 1, 0.97), (9.7, 2, 0.485), (0.0, 2, 0.0), (21.0, 2, 1.0)])
def test_a_processors_utilization_is_the_share_of_the_threads_that_we_may_use(
    used: float, threads: int, share: float
) -> None:
    seconds, spent = iter([100.0, 110.0]), iter([5.0, 5.0 + used])
    look = Processor(clock=lambda: next(seconds), used=lambda: next(spent), threads=lambda: threads)
    assert look().utilization == pytest.approx(share)


def test_a_device_that_tells_its_temperature_is_heard() -> None:
    watch = DeviceWatch("cuda:7", lambda: Reading(0.5, 1, 2, celsius=63.0))
    watch.look()
    watch.close()
    assert told("easel_device_utilization_ratio", device="cuda:7") == 0.5
    assert told("easel_device_temperature_celsius", device="cuda:7") == 63.0


def test_a_device_that_cannot_be_asked_is_asked_once() -> None:
    asked = Event()

    def mute() -> Reading:
        assert not asked.is_set()
        asked.set()
        raise ModuleNotFoundError("pynvml")

    watch = DeviceWatch("cuda:8", mute, seconds=0.01)
    watch._thread.join(5)
    assert (asked.is_set(), watch._thread.is_alive()) == (True, False)
