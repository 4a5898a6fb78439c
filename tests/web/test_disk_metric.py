"""The clock tells how full the disk with the data is."""

import shutil

import pytest

from easel import clock, metrics


def test_the_clock_tells_the_free_part_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(total=1000, used=950, free=50)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    clock.perform("measure_disk")
    assert metrics.DISK_FREE_RATIO._value.get() == pytest.approx(0.05)
