import os
import tempfile
import time
from pathlib import Path

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
