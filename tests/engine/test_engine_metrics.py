"""What the engine tells Prometheus."""

from dataclasses import replace
from threading import Event, Semaphore

import pytest
from prometheus_client import REGISTRY

from generation.engine.gauges import DeviceWatch, Processor, Reading, probe_of
from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from tests.engine.asking import a_drawing, admit, draw
from tests.web.served import eventually


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


def test_busy_slots_are_those_of_all_groups_and_none_when_all_have_left(
    engine: LoopEngine, checkpoint: Checkpoint
) -> None:
    assert told("easel_engine_slots") >= 1
    stop, begun = Event(), [Event(), Event()]
    drawings = [a_drawing(checkpoint, steps=1000, width=size, height=size) for size in (64, 128)]
    futures = [
        admit(engine, drawing, on_step=lambda done, total, event=event: event.set(), stop=stop)  # type: ignore[misc]
        for drawing, event in zip(drawings, begun, strict=True)
    ]
    assert all(event.wait(30) for event in begun)
    assert told("easel_engine_busy_slots") == 2
    stop.set()
    for future in futures:
        future.exception(30)
    assert told("easel_engine_busy_slots") == 0


def test_a_model_that_is_a_tenants_own_has_no_name_in_metrics(engine: LoopEngine, checkpoint: Checkpoint) -> None:
    before = told("easel_quality_score_count", model="model")
    draw(engine, replace(checkpoint, name="of-ada", label="model"))
    assert told("easel_quality_score_count", model="model") == before + 1
    assert told("easel_quality_score_count", model="of-ada") == 0
    assert told("easel_engine_step_seconds_count", model="of-ada") == 0


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


class NVMLError(Exception):
    """As pynvml has it: a child of nothing but Exception."""


@pytest.mark.parametrize("error", [OSError, NVMLError])
def test_a_device_that_answers_no_more_is_not_told_of_until_it_does(error: type[Exception]) -> None:
    asked, well = Semaphore(0), Event()

    def moody() -> Reading:
        asked.release()
        if well.is_set():
            return Reading(0.25, 1, 2, celsius=40.0)
        raise error("the driver is gone")

    watch = DeviceWatch("cuda:8", moody, seconds=0.01, retry_seconds=0.02)
    try:
        well.set()
        eventually(lambda: told("easel_device_utilization_ratio", device="cuda:8") == 0.25, seconds=10)
        well.clear()
        eventually(lambda: of_device("cuda:8") == [], seconds=10)
        for _ in range(3):
            assert asked.acquire(timeout=10)
        well.set()
        eventually(lambda: len(of_device("cuda:8")) == 4, seconds=10)
    finally:
        watch.close()


def of_device(device: str) -> list[str]:
    """The names of all that is told of it."""
    return [
        sample.name
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.labels.get("device") == device
    ]
