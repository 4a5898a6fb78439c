"""The whole of `make up`, with a tiny model of random weights, in a folder of its own. One story, told in order."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from easel.embedded.first_picture import PROMPT
from easel.embedded.leash import recorded
from easel.embedded.ports import is_free
from easel.embedded.var import ROOT, Var
from easel.key_providers import new_word
from tests import tiny
from tests.embedded.small_services import alive, kill, until
from tests.embedded.test_the_services import listening_addresses

SERVICES = {"postgres", "broker", "cache", "s3", "screening", "web", "staff", "worker", "clock"}


class Installation:
    def __init__(self, folder: Path) -> None:
        self.var = Var(folder / "var")
        self.port = next(port for port in range(22_000, 24_000, 2) if is_free(port) and is_free(port + 1))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EASEL_")},
            "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
            "EASEL_VAR": str(self.var.root),
            "EASEL_STARTER": str(tiny.build(folder / "model")),
            "EASEL_TORCH_THREADS": "1",
            "PORT": str(self.port),
        }

    def run(self, *words: str, told: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            input=told,
            timeout=300,
            check=False,
        )

    def start(self, verb: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(verb), env=self._environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "easel.embedded", *words]

    def pid(self, name: str) -> int:
        return recorded(self.var)[name][0].pid

    def members(self) -> set[int]:
        """Every process of every service, also their own children."""
        return {pid for identity, _ in recorded(self.var).values() for pid in identity.members()}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("up"))
    done = installation.run("up", DETACH="1")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield installation
    finally:
        installation.run("down")


def test_the_picture_is_there(up: Installation) -> None:
    with Image.open(up.var.first_picture) as picture:
        assert (picture.format, min(picture.size) >= 64) == ("PNG", True)


def test_demo_json_says_all_that_a_client_needs_and_only_to_its_owner(up: Installation) -> None:
    assert set(json.loads(up.var.demo.read_text())) == {
        "base_url",
        "api_key",
        "api_secret",
        "access_token_url",
        "console_url",
        "console_email",
        "console_password",
        "staff_url",
        "staff_email",
        "staff_password",
    }
    assert stat.S_IMODE(up.var.demo.stat().st_mode) == 0o600


def test_every_service_runs_and_listens_on_the_loopback_alone(up: Installation) -> None:
    assert set(recorded(up.var)) == SERVICES
    addresses = {address.split(":")[0] for pid in up.members() for address in listening_addresses(pid)}
    assert addresses == {"0100007F"}


def test_the_running_web_process_knows_no_password_but_its_own_roles(up: Installation) -> None:
    secrets = json.loads((up.var.config / "credentials.json").read_text())
    told = Path(f"/proc/{up.pid('web')}/environ").read_text()
    assert secrets["app"] in told
    assert not [name for name in ("platform", "owner", "postgres", "backup") if secrets[name] in told]


def test_a_killed_web_process_is_back_soon_and_its_own_children_are_not_left(up: Installation) -> None:
    before = up.pid("web")
    family = recorded(up.var)["web"][0].members()
    kill(before)
    until(lambda: not any(alive(pid) for pid in family), seconds=10)
    until(lambda: "web" in recorded(up.var) and up.pid("web") != before, seconds=20)
    until(lambda: answers(up.port), seconds=60)


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_a_backup_comes_back_in_an_empty_folder_and_draws_there(up: Installation, tmp_path: Path) -> None:
    saved = up.run("manage", "backup", str(tmp_path / "backups"))
    assert saved.returncode == 0, saved.stderr
    escrow = tmp_path / "custody.escrow"
    shutil.copy(up.var.config / "keys.escrow", escrow)
    key = json.loads((up.var.config / "credentials.json").read_text())["platform_keys"]

    there = Installation(tmp_path)
    words = ("restore", str(tmp_path / "backups"), "--escrow", str(escrow))
    assert "does not open the backup" in there.run(*words, told=new_word(1)).stderr
    restored = there.run(*words, told=key)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "To start it: make up" in restored.stdout
    try:
        started = there.run("up", DETACH="1")  # draws its first picture, for the tenant that came back
        assert started.returncode == 0, started.stdout + started.stderr
        newest, first = generations(json.loads(there.var.demo.read_text()))
        assert picture_of(first) == up.var.first_picture.read_bytes()
        assert picture_of(newest) == there.var.first_picture.read_bytes()
        assert first["prompt"] == newest["prompt"] == PROMPT
        wrong = there.run(*words, told=key)
        assert wrong.returncode != 0, "not over a running Easel"
    finally:
        there.run("down")


def generations(demo: dict[str, str]) -> list[dict[str, Any]]:
    """Of the demo tenant, newest first."""
    form = {"grant_type": "client_credentials", "client_id": demo["api_key"], "client_secret": demo["api_secret"]}
    with urlopen(demo["access_token_url"], urlencode(form).encode()) as answer:
        token = json.load(answer)["access_token"]
    asked = Request(f"{demo['base_url']}/v1/generations", headers={"Authorization": f"Bearer {token}"})
    with urlopen(asked) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]
    return found


def picture_of(generation: dict[str, Any]) -> bytes:
    with urlopen(generation["images"][0]["url"]) as answer:
        return bytes(answer.read())


def test_down_leaves_no_process_and_a_second_start_keeps_the_picture_and_stops_by_ctrl_c(up: Installation) -> None:
    members = up.members()
    drawn = up.var.first_picture.stat().st_mtime_ns
    assert up.run("down").returncode == 0
    assert [pid for pid in members if alive(pid)] == []

    again = up.start("up")
    assert again.stdout is not None
    said = ""
    while "To stop it" not in said:
        line = again.stdout.readline()
        assert line, said
        said += line
    assert "unclean" not in said
    assert up.var.first_picture.stat().st_mtime_ns == drawn
    members = up.members()
    start = time.monotonic()
    os.killpg(again.pid, signal.SIGINT)
    again.communicate()
    assert again.returncode == 0
    assert time.monotonic() - start < 15
    assert [pid for pid in members if alive(pid)] == []
