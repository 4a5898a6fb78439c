import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from easel.embedded.stack import Stack
from tests.embedded.small_services import Ledger
from tests.stack import PREFIX, sweep


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> None:
    minutes_ago = time.time() - 600
    os.utime(folder / "run" / "lock", (minutes_ago, minutes_ago))


def test_its_folder_goes_with_the_next_run(elsewhere: Path) -> None:
    folder = elsewhere / f"{PREFIX}killed"
    Stack(folder, report=Ledger()).stop()
    aged(folder)
    sweep()
    assert not folder.exists()


def test_but_not_that_of_a_run_that_is_still_going_or_just_starting(elsewhere: Path) -> None:
    going, starting = elsewhere / f"{PREFIX}going", elsewhere / f"{PREFIX}starting"
    Stack(starting, report=Ledger()).stop()
    with Stack(going, report=Ledger()):
        aged(going)
        sweep()
        assert going.exists()
        assert starting.exists()


def test_runs_that_start_together_do_not_stumble_over_each_other(elsewhere: Path) -> None:
    """Each finds the same folders, and every one of them is gone afterwards."""
    folders = [elsewhere / f"{PREFIX}killed-{number}" for number in range(3)]
    for folder in folders:
        Stack(folder, report=Ledger()).stop()
        for number in range(3000):  # so that removing it takes a moment
            (folder / "data" / str(number)).touch()
        aged(folder)
    together = Barrier(4)
    with ThreadPoolExecutor(4) as runs:
        for each in [runs.submit(lambda: (together.wait(), sweep())) for _ in range(4)]:
            each.result()
    assert [folder for folder in folders if folder.exists()] == []
