import signal
from pathlib import Path

import pytest

from easel.embedded.trouble import Trouble
from tests.embedded.small_services import Ledger, Small, supervise, until

STEADY = "touch {name}.ready; exec sleep 60"


def test_with_a_pause_that_doubles(tmp_path: Path) -> None:
    report = Ledger()
    service = Small("flaky", "touch flaky.ready; sleep 0.2; exit 7", tmp_path)
    supervisor = supervise(tmp_path / "var", service, report=report)
    try:
        supervisor.start(["flaky"])
        until(lambda: sum("Starting it again" in line for line in report.lines) >= 3)
    finally:
        supervisor.close()
    pauses = [line.rpartition("again in ")[2] for line in report.lines if "Starting it again" in line]
    assert pauses[:3] == ["0.5 s", "1 s", "2 s"]


def test_and_the_line_names_the_child_its_exit_code_and_its_log(tmp_path: Path) -> None:
    report = Ledger()
    service = Small("flaky", "touch flaky.ready; sleep 0.2; exit 7", tmp_path)
    supervisor = supervise(tmp_path / "var", service, report=report)
    try:
        supervisor.start(["flaky"])
        until(lambda: any("Starting it again" in line for line in report.lines))
    finally:
        supervisor.close()
    line = next(line for line in report.lines if "Starting it again" in line)
    assert "flaky ended with exit code 7" in line
    assert str(tmp_path / "var" / "log" / "flaky.log") in line


def test_after_a_kill_it_becomes_ready_as_another_process(tmp_path: Path) -> None:
    service = Small("steady", STEADY.format(name="steady"), tmp_path)
    supervisor = supervise(tmp_path / "var", service, report=Ledger())
    try:
        supervisor.start(["steady"])
        supervisor.wait(["steady"])
        first = supervisor.pid("steady")
        supervisor.signal("steady", signal.SIGKILL)
        supervisor.wait(["steady"])
        assert supervisor.pid("steady") not in {None, first}
    finally:
        supervisor.close()


def test_but_one_that_never_came_up_is_given_up_with_the_reason(tmp_path: Path) -> None:
    service = Small("broken", "exit 3", tmp_path)
    supervisor = supervise(tmp_path / "var", service, report=Ledger())
    try:
        supervisor.start(["broken"])
        with pytest.raises(Trouble, match=r"broken ended with exit code 3 \(log: .*broken\.log\)"):
            supervisor.wait(["broken"])
    finally:
        supervisor.close()


def test_and_one_that_needs_another_starts_after_it_and_stops_before_it(tmp_path: Path) -> None:
    report = Ledger()
    below = Small("below", "sleep 0.3; " + STEADY.format(name="below"), tmp_path)
    above = Small("above", STEADY.format(name="above"), tmp_path, needs=("below",))
    supervisor = supervise(tmp_path / "var", above, below, report=report)
    try:
        supervisor.start(["above", "below"])
        supervisor.wait(["above", "below"])
    finally:
        supervisor.close()
    assert report.index("below ready") < report.index("above starting")
    assert report.index("above stopped") < report.index("below stopped")
