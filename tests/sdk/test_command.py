"""The command: what it does, what it says, and what its exit code means."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from PIL import Image as PILImage

from easel_client import Easel, files
from easel_client.cli import credentials, exits
from easel_client.cli.running import told
from easel_client.cli.terminal import Terminal
from tests.cast import Customer, make_customer
from tests.sdk.command import easel, keep, lines, sign_in
from tests.sdk.town import Town

ROOT = Path(__file__).resolve().parents[2]


# --- Signing in ------------------------------------------------------------------------------------------


def test_login_tries_the_key_and_keeps_it_for_its_owner_alone(
    easel_town: Town, ada: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["login", "--url", easel_town.base_url + "/", "--key", ada.key.public_id, "--secret-stdin"]
    done = easel(*words, given=f"{ada.secret}\n")
    assert done.exit_code == exits.OK, done.output
    assert ada.secret not in done.output
    assert stat.S_IMODE(credentials.path().stat().st_mode) == 0o600
    assert credentials.load().base_url == easel_town.base_url
    assert easel("models").exit_code == exits.OK
    monkeypatch.setenv("EASEL_API_SECRET", "es_" + "x" * 43)  # the environment goes before the file
    assert easel("models").exit_code == exits.NOT_LET_IN
    assert easel("logout").exit_code == exits.OK
    assert not credentials.path().exists()


def test_a_key_that_does_not_work_is_not_kept(easel_town: Town, ada: Customer) -> None:
    words = ["login", "--url", easel_town.base_url, "--key", ada.key.public_id, "--secret-stdin"]
    assert easel(*words, given="es_wrong\n").exit_code == exits.NOT_LET_IN
    assert not credentials.path().exists()


def test_a_key_for_something_else_than_drawing_is_kept_too(easel_town: Town, ada: Customer) -> None:
    with easel_town.client(ada) as client:
        made = client.keys.create("books", ["usage:read", "account:read"])
    words = ["login", "--url", easel_town.base_url, "--key", made.id, "--secret-stdin"]
    assert easel(*words, given=f"{made.secret}\n").exit_code == exits.OK
    assert easel("usage").exit_code == exits.OK


def test_the_demo_tenant_of_a_running_easel_is_found(
    easel_town: Town, ada: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    var = tmp_path / "project" / "var"
    (var.parent / "sub").mkdir(parents=True)
    var.mkdir()
    demo = {"base_url": easel_town.base_url, "api_key": ada.key.public_id, "api_secret": ada.secret, "staff_url": "x"}
    (var / "demo.json").write_text(json.dumps(demo))
    monkeypatch.delenv("EASEL_VAR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert easel("login", "--demo").exit_code == exits.NOT_LET_IN
    monkeypatch.chdir(var.parent / "sub")
    assert easel("login", "--demo").exit_code == exits.OK
    assert credentials.load().api_key == ada.key.public_id


def test_a_file_that_others_can_read_is_not_used(ada: Customer, tmp_path: Path) -> None:
    credentials.path().parent.mkdir()
    file = keep(credentials.path().parent, base_url="http://127.0.0.1:9", api_key="ek", api_secret="es")
    file.chmod(0o640)
    done = easel("models")
    assert (done.exit_code, f"chmod 600 {file}" in done.stderr.replace("\n", "")) == (exits.NOT_LET_IN, True)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"base_url": "http://127.0.0.1:9"}'])
def test_a_damaged_file_is_said_to_be_damaged(content: bytes) -> None:
    credentials.path().parent.mkdir()
    keep(credentials.path().parent).write_bytes(content)
    done = easel("models")
    assert (done.exit_code, "is damaged." in done.stderr.replace("\n", " ")) == (exits.NOT_LET_IN, True)


@pytest.mark.parametrize(("typed", "code"), [(True, exits.INTERRUPTED), (False, exits.USAGE)])
def test_a_question_that_is_not_answered_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, typed: bool, code: int
) -> None:
    """Ctrl-C at it, or nobody there who could type."""
    stdin = SimpleNamespace(isatty=lambda: typed)
    monkeypatch.setattr("easel_client.cli.running.sys", SimpleNamespace(stdin=stdin), raising=False)
    done = easel("login")
    assert (done.exit_code, "--secret-stdin" in done.stderr) == (code, not typed)


# --- Drawing ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("signed_in")
def test_a_picture_is_drawn_into_the_file_that_was_named(tmp_path: Path) -> None:
    target = tmp_path / "new" / "apple.webp"
    done = easel("generate", "a red apple", "-o", target, "--steps", 2, "--size", "128x64", "--seed", 7)
    assert done.exit_code == exits.OK, done.output
    assert str(target) in done.stdout
    picture = PILImage.open(target)
    assert (picture.format, picture.size) == ("WEBP", (128, 64))


@pytest.mark.usefixtures("signed_in")
def test_several_pictures_are_numbered_and_json_tells_all(tmp_path: Path) -> None:
    words = ["generate", "apples", "-o", tmp_path / "apple.png", "--steps", 2, "-n", 3]
    (told,) = lines(easel("--json", *words))
    assert [Path(each).name for each in told["files"]] == ["apple-1.png", "apple-2.png", "apple-3.png"]
    assert all(Path(each).is_file() for each in told["files"])
    assert (told["status"], told["n"]) == ("completed", 3)


@pytest.mark.usefixtures("signed_in")
def test_the_same_idempotency_key_draws_once(tmp_path: Path) -> None:
    words = ["--json", "generate", "apple", "-o", tmp_path / "a.png", "--steps", 2, "--idempotency-key", "order-1"]
    first, second = (lines(easel(*words))[0] for _ in range(2))
    assert first["id"] == second["id"]


@pytest.mark.usefixtures("signed_in")
def test_what_has_the_prompts_name_already_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-logo.png").write_text("a drawing of mine")
    words = ["--json", "generate", "My logo", "--steps", 2]
    first, second = (lines(easel(*words))[0] for _ in range(2))
    assert (tmp_path / "my-logo.png").read_text() == "a drawing of mine"
    named = [f"my-logo-{each['id'][-8:]}.png" for each in (first, second)]
    assert [each["files"] for each in (first, second)] == [[name] for name in named]
    assert {path.name for path in tmp_path.glob("*.png")} == {"my-logo.png", *named}
    edited = tmp_path / named[0]
    edited.write_text("edited")
    (third,) = lines(easel("--json", "fetch", first["id"]))
    assert third["files"] == [f"my-logo-{first['id'][-8:]}-2.png"]
    assert edited.read_text() == "edited"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As root /dev/null would have become a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.check(pipe)
    assert files.write_whole(pipe, b"a picture") == pipe
    assert (os.read(reader, 100), [*tmp_path.iterdir()]) == (b"a picture", [pipe])
    assert pipe.is_fifo()
    os.close(reader)


def test_standard_output_is_no_file_wherever_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root `-o /dev/stdout > a.png` would have put a file in the place of /dev/stdout."""
    assert files.is_device(Path("/dev/null"))
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    assert files.is_device(Path("/dev/stdout"))
    assert not files.is_device(Path("/home/ada/stdout"))


def test_a_pipe_that_cannot_be_written_to_is_said_before_anything_is_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(os, "access", lambda *_: False)  # to root everything can be
    with pytest.raises(PermissionError, match="cannot be written to"):
        files.check(pipe)


def on_a_terminal(*words: str, term: str) -> tuple[int, bytes]:
    """The command on a terminal of its own, of which we read the other side: its exit code, and what was seen."""
    leader, follower = os.openpty()
    environment = os.environ | {"TERM": term, "PYTHONPATH": str(ROOT / "sdk" / "python"), "COLUMNS": "80"}
    command = [sys.executable, "-m", "easel_client", *words]
    process = subprocess.Popen(command, env=environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    limit = threading.Timer(30, process.kill)
    limit.start()
    seen = b""
    with suppress(OSError):  # how Linux says that nobody writes any more
        while part := os.read(leader, 65536):
            seen += part
    os.close(leader)
    limit.cancel()
    return process.wait(30), seen


@pytest.mark.usefixtures("signed_in")
def test_a_bar_and_the_picture_are_shown_where_somebody_looks(tmp_path: Path) -> None:
    words = ["generate", "an apple", "-o", str(tmp_path / "a.png"), "--steps", "60"]
    code, seen = on_a_terminal(*words, term="xterm-kitty")
    assert code == exits.OK, seen.decode(errors="replace")
    assert b"running" in seen
    assert b" %" in seen
    assert b"\x1b_Ga=T,f=100" in seen  # the finished picture, inline


@pytest.mark.usefixtures("signed_in")
def test_waiting_ends_in_time_where_somebody_looks_too(tmp_path: Path, easel_town: Town) -> None:
    """Nothing is drawn meanwhile, so that the stream says nothing but that it is there."""
    easel_town.send(signal.SIGSTOP, worker=0)
    begun = time.monotonic()
    try:
        words = ["generate", "an apple", "-o", str(tmp_path / "a.png"), "--timeout", "1"]
        code, seen = on_a_terminal(*words, term="xterm")
    finally:
        easel_town.send(signal.SIGCONT, worker=0)
    assert (code, b"easel fetch" in seen) == (exits.STILL_GOING, True), seen.decode(errors="replace")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("target", [".", "/", "..", "folder.png", "file/apple.png", ""])
def test_a_file_that_cannot_be_written_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed_in: Customer, easel_town: Town, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    done = easel("--json", "generate", "an apple", "-o", target)
    assert done.exit_code in {exits.USAGE, exits.UNKNOWN}
    assert isinstance(done.exception, SystemExit)
    with easel_town.client(signed_in) as client:
        assert list(client.list()) == []


def test_what_was_cut_off_is_fetched(tmp_path: Path, signed_in: Customer, easel_town: Town) -> None:
    cut = easel("--json", "generate", "an apple", "-o", tmp_path / "a.webp", "--steps", 150, "--timeout", 0)
    assert cut.exit_code == exits.STILL_GOING
    error = json.loads(cut.stderr)["error"]
    assert f"easel fetch {error['generation_id']} -o" in error["hint"]
    (told,) = lines(easel("--json", "fetch", error["generation_id"], "-o", tmp_path / "new" / "a.webp"))
    assert (told["id"], told["files"]) == (error["generation_id"], [str(tmp_path / "new" / "a.webp")])
    assert PILImage.open(tmp_path / "new" / "a.webp").format == "WEBP"
    assert easel("fetch", "0193e6a0-0000-7000-8000-000000000000").exit_code == exits.REFUSED
    with easel_town.client(signed_in) as client:
        assert len(list(client.list())) == 1


@pytest.mark.usefixtures("signed_in")
def test_pictures_that_could_not_be_saved_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "a-2.png").mkdir()
    failed = easel("--json", "generate", "an apple", "-o", tmp_path / "a.png", "--steps", 2, "-n", 2)
    assert failed.exit_code == exits.UNKNOWN
    error = json.loads(failed.stderr)["error"]
    assert f"easel fetch {error['generation_id']} -o" in error["hint"]
    (told,) = lines(easel("--json", "fetch", error["generation_id"], "-o", tmp_path / "b.png"))
    assert [Path(each).name for each in told["files"]] == ["b-1.png", "b-2.png"]


def test_who_interrupts_is_told_which_generation_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        with told(Terminal(as_json=True)) as telling:
            telling.generation_id = "0193-a"
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        interrupted()
    assert ended.value.exit_code == exits.INTERRUPTED
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["detail"], error["generation_id"]) == ("interrupted", "0193-a")
    assert "easel fetch 0193-a" in error["hint"]


# --- Everything else -------------------------------------------------------------------------------------


def test_models_usage_and_quotes_are_told_to_people_and_programs(signed_in: Customer, easel_town: Town) -> None:
    assert f"* {easel_town.model}" in easel("models").stdout
    assert lines(easel("--json", "models"))[0]["name"] == easel_town.model
    assert "credits available" in easel("usage").stdout
    assert lines(easel("--json", "usage", "--group-by", "model,status"))[0]["account"]["name"] == "Ada"
    assert "credits for 2 × 128×64" in easel("quote", "--size", "128x64", "-n", 2).stdout
    assert easel("quote", "--size", "large").exit_code == exits.USAGE


def test_names_are_shown_letter_by_letter(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets and colons mean something to what draws tables."""
    names = ["shop [prod]", "[/b]", "at :100: o'clock"]
    terminal = Terminal()
    terminal.table(("name",), [[name] for name in names])
    terminal.say(names[-1])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == ["name", *names, names[-1]]


def test_what_standard_output_cannot_write_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a pipe of Windows, whose encoding has neither Chinese nor check marks."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "sdk" / "python"), "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "easel_client", "--help"]
    ran = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (ran.returncode, rb"\xb7" in ran.stdout) == (0, True), ran.stderr
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="cp1252"))
    Terminal(as_json=True).data({"prompt": "é 一 😀"})
    assert json.loads(written.getvalue()) == {"prompt": "é 一 😀"}


LOUD = """
import sys, typer
from easel_client.cli.running import told
from easel_client.cli.terminal import Terminal
terminal = Terminal(as_json=True)
try:
    with told(terminal):
        while True:
            terminal.data({"prompt": "an apple"})
except typer.Exit as ended:
    sys.exit(ended.exit_code)
"""


def test_whoever_hears_enough_gets_a_documented_exit_code() -> None:
    """As in `easel --json watch | head -1`."""
    environment = {"PYTHONPATH": str(ROOT / "sdk" / "python")}
    process = subprocess.Popen([sys.executable, "-c", LOUD], env=environment, stdout=subprocess.PIPE, stderr=-1)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, b"Exception ignored" in said) == (exits.UNKNOWN, False), said


def test_who_closed_standard_output_gets_nothing_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    Terminal(as_json=True).data({"prompt": "an apple"})
    Terminal().say("an apple")


def test_keys_are_made_rotated_and_revoked(signed_in: Customer) -> None:
    (made,) = lines(easel("--json", "keys", "create", "ci", "-s", "generations:read", "--test"))
    assert made["secret"].startswith("es_")
    assert made["id"] in easel("keys", "list").stdout
    (rotated,) = lines(easel("--json", "keys", "rotate", made["id"]))
    assert rotated["secret"] != made["secret"]
    assert easel("keys", "revoke", made["id"]).exit_code == exits.OK
    assert made["id"] not in easel("keys", "list").stdout
    assert made["id"] in easel("keys", "list", "--all").stdout


def test_watching_one_generation_ends_with_it_and_watching_all_shows_them(
    signed_in: Customer, easel_town: Town
) -> None:
    with easel_town.client(signed_in) as client, ThreadPoolExecutor(1) as beside:
        submitted = client.submit("an apple", steps=60)
        told = lines(easel("--json", "watch", submitted.id))
        assert told[-1] == {"event": "done", "id": told[-1]["id"], "generation": submitted.id, "status": "completed"}
        events = client.events()
        later = beside.submit(lambda: time.sleep(0.5) or client.submit("a pear", steps=20))
        assert any(event.generation_id == later.result().id for event in events)
        events.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize(
    ("easel_test", "code"),
    [("failed", exits.NO_PICTURE), ("rejected", exits.NO_PICTURE), ("insufficient_credits", exits.SPENT),
     ("quota_exceeded", exits.SPENT), ("not_found", exits.REFUSED), ("insufficient_scope", exits.NOT_LET_IN)],
)  # fmt: skip
def test_every_way_to_fail_has_its_exit_code(
    easel_test: str, code: int, easel_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By test mode, where a prompt says what is to happen."""
    monkeypatch.setattr("easel_client.policy.RetryPolicy.pause", lambda *_, **__: 0.0)
    owner = make_customer("Tester")
    with Easel(easel_town.base_url, owner.key.public_id, owner.secret) as client:
        made = client.keys.create("test", sorted(owner.key.scopes), mode="test")
    monkeypatch.setenv("EASEL_URL", easel_town.base_url)
    monkeypatch.setenv("EASEL_API_KEY", made.id)
    monkeypatch.setenv("EASEL_API_SECRET", str(made.secret))
    done = easel("--json", "generate", f"test:{easel_test}")
    assert done.exit_code == code, done.output
    assert json.loads(done.stderr.splitlines()[-1])["error"]["detail"]


def test_a_server_that_is_away_and_a_wait_that_is_over_have_theirs(
    monkeypatch: pytest.MonkeyPatch, easel_town: Town, signed_in: Customer
) -> None:
    assert easel("generate", "an apple", "--steps", 150, "--timeout", 0).exit_code == exits.STILL_GOING
    monkeypatch.setattr("easel_client.policy.RetryPolicy.pause", lambda *_, **__: 0.0)
    sign_in(monkeypatch, "http://127.0.0.1:9", signed_in)
    done = easel("models")
    assert (done.exit_code, "easel doctor" in done.stderr) == (exits.UNREACHABLE, True)


def test_without_credentials_it_says_where_to_begin() -> None:
    done = easel("models")
    assert (done.exit_code, "easel login" in done.stderr.replace("\n", " ")) == (exits.NOT_LET_IN, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed_in_each_shell(shell: str) -> None:
    def asked(instruction: str, **more: str) -> str:
        environment = {"PYTHONPATH": str(ROOT / "sdk" / "python"), "_EASEL_COMPLETE": f"{instruction}_{shell}", **more}
        ran = subprocess.run(
            [sys.executable, "-m", "easel_client"], capture_output=True, text=True, check=False, env=environment
        )
        return ran.stdout

    assert "easel" in asked("source")
    typed = {"COMP_WORDS": "easel do", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "easel do"}
    assert "doctor" in asked("complete", **typed, _TYPER_COMPLETE_FISH_ACTION="get-args")
