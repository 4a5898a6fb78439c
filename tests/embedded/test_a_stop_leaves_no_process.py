import os
import subprocess
import sys
from pathlib import Path

import pytest

from easel.embedded.leash import end_leftovers, recorded
from easel.embedded.var import ROOT, Var
from tests.embedded.small_services import Ledger, Small, alive, kill, supervise, until

# A service with a process of its own, as uvicorn and dramatiq have; the second ignores a polite request.
FAMILY = "sleep 61 & echo $! > young; touch family.ready; wait"
STUBBORN = "trap '' TERM; touch stubborn.ready; while true; do sleep 1; done"


def test_neither_the_child_nor_its_own_children(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path / "var", Small("family", FAMILY, tmp_path), report=Ledger())
    supervisor.start(["family"])
    supervisor.wait(["family"])
    old, young = supervisor.pid("family"), int((tmp_path / "young").read_text())
    assert old is not None
    assert alive(young)
    supervisor.close()
    assert not alive(old)
    until(lambda: not alive(young), seconds=2)


def test_not_even_one_that_does_not_want_to_stop(tmp_path: Path) -> None:
    report = Ledger()
    supervisor = supervise(tmp_path / "var", Small("stubborn", STUBBORN, tmp_path), report=report)
    supervisor.start(["stubborn"])
    supervisor.wait(["stubborn"])
    pid = supervisor.pid("stubborn")
    assert pid is not None
    supervisor.close()
    assert not alive(pid)
    assert "stubborn does not stop by itself; killed" in report.lines


SUPERVISOR_OF_ITS_OWN = """
import sys, time
from pathlib import Path
from tests.embedded.small_services import Ledger, Small, supervise
folder = Path(sys.argv[1])
supervisor = supervise(folder / "var", Small("family", sys.argv[2], folder), report=Ledger())
supervisor.start(["family"])
supervisor.wait(["family"])
print(supervisor.pid("family"), supervisor._leash._guardian.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def lone_supervisor(tmp_path: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR_OF_ITS_OWN, str(tmp_path), FAMILY],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def started(process: "subprocess.Popen[str]") -> tuple[int, int]:
    assert process.stdout is not None
    child, guardian = process.stdout.readline().split()
    return int(child), int(guardian)


def test_when_the_supervisor_is_killed_its_guardian_ends_the_children(
    tmp_path: Path, lone_supervisor: "subprocess.Popen[str]"
) -> None:
    child, guardian = started(lone_supervisor)
    young = int((tmp_path / "young").read_text())
    lone_supervisor.kill()
    lone_supervisor.communicate()
    until(lambda: not alive(guardian))
    assert not alive(child)
    assert not alive(young)


def test_when_both_are_killed_the_next_start_ends_the_children(
    tmp_path: Path, lone_supervisor: "subprocess.Popen[str]"
) -> None:
    child, guardian = started(lone_supervisor)
    young = int((tmp_path / "young").read_text())
    kill(guardian)
    lone_supervisor.kill()
    lone_supervisor.communicate()
    assert alive(child)
    assert end_leftovers(Var(tmp_path / "var")) == ["family"]
    until(lambda: not alive(child) and not alive(young), seconds=2)
    assert recorded(Var(tmp_path / "var")) == {}


def test_leftovers_are_ended_also_when_only_the_childs_own_children_live(
    tmp_path: Path, lone_supervisor: "subprocess.Popen[str]"
) -> None:
    child, guardian = started(lone_supervisor)
    young = int((tmp_path / "young").read_text())
    kill(guardian)
    lone_supervisor.kill()
    lone_supervisor.communicate()
    kill(child)
    until(lambda: not alive(child))
    assert alive(young)
    end_leftovers(Var(tmp_path / "var"))
    until(lambda: not alive(young), seconds=2)


def test_a_recorded_id_that_went_to_another_program_is_left_alone(tmp_path: Path) -> None:
    var = Var(tmp_path / "var")
    var.make()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        (var.run / "web.pid").write_text(f"{stranger.pid} 1 another-boot 15\n")
        assert end_leftovers(var) == ["web"]
        assert alive(stranger.pid)
        stranger.kill()
