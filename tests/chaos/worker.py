"""`python -m tests.chaos.worker`: Easel's own worker, with an engine that costs nothing."""

import os

import django

if __name__ == "__main__":
    django.setup()

    from django.core.management import call_command

    from generation.engine import choose
    from tests.stub_engine import StubEngine

    slots, step = int(os.environ["CHAOS_SLOTS"]), float(os.environ["CHAOS_STEP_SECONDS"])
    greens = os.environ.get("CHAOS_GREENS") == "1"
    choose.build = lambda **_: StubEngine(slots=slots, step_seconds=step, greens=greens)  # type: ignore[assignment]
    call_command("worker")
