"""What the engine tells Prometheus."""

from prometheus_client import REGISTRY

from generation.engine.gauges import DeviceWatch
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
    watch = DeviceWatch("cpu")
    sum(number * number for number in range(300_000))
    watch.look()
    watch.close()
    assert 0 < told("easel_device_utilization_ratio", device="cpu") <= 1
    used, total = (told("easel_device_memory_bytes", device="cpu", kind=kind) for kind in ("used", "total"))
    assert 0 < used < total
