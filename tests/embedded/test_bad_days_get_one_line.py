"""What a newcomer sees when the machine is not as expected: one line with the remedy, never a stack trace."""

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from easel.embedded.credentials import Credentials
from easel.embedded.leash import recorded
from easel.embedded.ports import Ports
from easel.embedded.preparation import prepare
from easel.embedded.stack import Stack
from easel.embedded.trouble import Trouble, explain
from easel.embedded.var import ROOT, Var
from tests.embedded.small_services import Ledger


def easel(verb: str, var: Path | str, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "easel.embedded", verb],
        env={**os.environ, "PYTHONPATH": path, "EASEL_VAR": str(var), **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1
    assert done.stderr.startswith("easel: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("offset", [0, 1], ids=["the web's", "the staff's"])
def test_a_taken_port(tmp_path: Path, offset: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = one_line(easel("up", tmp_path / "var", PORT=str(port - offset)))
    assert f"Port {port} is taken" in said
    assert "PORT=" in said.partition("taken")[2]
    assert recorded(Var(tmp_path / "var")) == {}


@pytest.mark.parametrize("port", ["http", "0", "-1", "65535", "99999"])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    assert f"PORT={port} is not a port" in one_line(easel("up", tmp_path / "var", PORT=port))


def test_an_address_this_machine_does_not_have(tmp_path: Path) -> None:
    assert "BIND=" in one_line(easel("up", tmp_path / "var", BIND="192.0.2.55"))


def test_running_already(tmp_path: Path) -> None:
    with Stack(tmp_path / "var", report=Ledger()):
        assert "running already" in one_line(easel("up", tmp_path / "var"))
        assert easel("status", tmp_path / "var").returncode == 0
    assert easel("status", tmp_path / "var").returncode == 3


def test_an_unclean_last_stop_is_said_and_put_in_order(tmp_path: Path) -> None:
    var = Var(tmp_path / "var")
    var.make()
    (var.run / "postgres.pid").write_text("4000000 1 another-boot 2\n")
    report = Ledger()
    with Stack(var.root, report=report):
        assert report.lines == ["easel the last stop was unclean; put in order: postgres"]
        assert recorded(var) == {}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "EASEL_VAR=" in one_line(easel("up", tmp_path / "file" / "var"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "EASEL_VAR=" in one_line(easel("up", tmp_path / "closed" / "var"))


def test_a_folder_with_other_things_in_it(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "not Easel's" in one_line(easel("up", tmp_path))
    assert easel("reset", tmp_path, YES="1").returncode == 0
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("file", ["config/routes.rb", "config/settings.json", "app/models/user.rb"])
def test_a_folder_of_another_program(tmp_path: Path, file: str) -> None:
    """Many have a folder `config`."""
    theirs = tmp_path / file
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    with pytest.raises(Trouble, match="not Easel's"):
        Var(tmp_path).make()
    assert easel("reset", tmp_path, YES="1").returncode == 0
    assert theirs.read_text() == "theirs"


def test_a_first_start_that_was_interrupted_is_begun_anew(tmp_path: Path) -> None:
    Var(tmp_path).make()
    (tmp_path / "run" / "lock").touch()
    (tmp_path / "config" / ".credentials.json.new").touch()
    Var(tmp_path).make()


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)  # fmt: skip
def test_what_is_bound_to_one_address_is_reached_there(tmp_path: Path, bound: str, reached: str) -> None:
    with Stack(tmp_path, host=bound, port=18_000) as stack:
        assert stack.base_url == f"http://{reached}:18000"


def test_too_little_space(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"disk is nearly full.*EASEL_VAR="):
        Var(tmp_path).check_space(least=10**18)


def test_a_disk_that_fills_up_later() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/some/file")
    assert str(explain(full)).startswith("The disk is full (/some/file). Free some space")


def test_another_python() -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['install', 'up'];"
        f"runpy.run_path({str(ROOT / 'platform/easel/embedded/install.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", pretend], capture_output=True, text=True, check=False)
    said = one_line(done)
    assert "Easel needs Python 3.11" in said
    assert "PYTHON=" in said


def test_damaged_secrets(tmp_path: Path) -> None:
    Var(tmp_path / "var").make()
    (tmp_path / "var/config/credentials.json").write_text('{"postgres": ')
    assert "credentials.json is damaged" in one_line(easel("up", tmp_path / "var"))


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("os.kill(os.getpid(), 9)", "The set-up was killed by SIGKILL. (log: "),
        ("sys.exit(1)", "The set-up failed. (log: "),
        ("sys.exit('It is full.')", "It is full. (log: "),
    ],
)
def test_a_set_up_that_is_killed_or_says_nothing(ending: str, said: str, tmp_path: Path) -> None:
    """So it is where memory runs out."""

    class Bare:
        var, base_url, staff_url = Var(tmp_path), "", ""

        def environment(self, process: str) -> dict[str, str]:
            return {"PYTHONPATH": str(tmp_path)}

    (tmp_path / "easel/embedded").mkdir(parents=True)
    (tmp_path / "easel/__init__.py").touch()
    (tmp_path / "easel/embedded/__init__.py").touch()
    (tmp_path / "easel/embedded/preparation.py").write_text(f"import os, sys\n{ending}\n")
    (tmp_path / "log").mkdir()
    with pytest.raises(Trouble) as trouble:
        prepare(Bare())  # type: ignore[arg-type]
    assert str(trouble.value).startswith(said)


def test_secrets_of_a_newer_easel_are_no_damage_to_an_older_one(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    credentials = Credentials.of(file)
    newer = json.loads(file.read_text()) | {"of_a_later_service": "secret"}
    file.write_text(json.dumps(newer))
    assert Credentials.of(file) == credentials
    assert json.loads(file.read_text()) == newer


def test_an_internal_port_that_was_taken_since_is_replaced(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    ports.choose("postgres", "broker")
    before = ports["postgres"], ports["broker"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", before[0]))
        taken.listen()
        again = Ports(tmp_path / "ports.json")
        again.choose("postgres", "broker")
    assert again["postgres"] != before[0]
    assert again["broker"] == before[1]


def test_no_internal_port_is_the_one_that_the_web_was_given(tmp_path: Path) -> None:
    """Nor is a gRPC port, which is 10000 higher."""
    ports = Ports(tmp_path / "ports.json")
    ports.choose("postgres", "broker")
    typed = {ports["postgres"], ports["broker"] + 10_000}
    ports.choose("postgres", "broker", apart_from=typed)
    assert not {port + offset for port in (ports["postgres"], ports["broker"]) for offset in (0, 10_000)} & typed


def test_down_when_nothing_runs(tmp_path: Path) -> None:
    done = easel("down", tmp_path / "var")
    assert (done.returncode, done.stdout) == (0, "Easel is not running.\n")


def test_reset_does_not_delete_without_being_told_twice(tmp_path: Path) -> None:
    Var(tmp_path / "var").make()
    Credentials.of(tmp_path / "var/config/credentials.json")
    (tmp_path / "var/first.png").write_bytes(b"a picture")
    assert "YES=1" in one_line(easel("reset", tmp_path / "var"))
    assert (tmp_path / "var/first.png").exists()
    assert easel("reset", tmp_path / "var", YES="1").returncode == 0
    assert list((tmp_path / "var").iterdir()) == []
