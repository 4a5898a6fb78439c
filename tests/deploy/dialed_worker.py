"""`python -m tests.deploy.dialed_worker`: Easel's own worker on a device that is as busy as the file DIAL says."""

import os
from pathlib import Path

import django

GIGABYTE = 2**30

if __name__ == "__main__":
    django.setup()

    from django.core.management import call_command

    from generation.engine import choose
    from generation.engine.gauges import DeviceWatch, Reading
    from tests.stub_engine import StubEngine

    dial = Path(os.environ["DIAL"])
    watch = DeviceWatch(
        "cuda:0", lambda: Reading(float(dial.read_text()), 3 * GIGABYTE, 8 * GIGABYTE, celsius=60.0), seconds=0.5
    )
    choose.build = lambda **_: StubEngine()  # type: ignore[assignment]
    call_command("worker")
