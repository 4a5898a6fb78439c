"""`easel batch`: what it draws, what it draws again, and what it leaves alone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easel_client import AsyncEasel, AsyncGeneration, Easel, errors
from easel_client.cli import exits
from easel_client.cli.journal import Journal, items_of
from tests.cast import Customer
from tests.sdk.command import easel, lines, sign_in
from tests.sdk.town import Town

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.txt"
    own = {"prompt": "a pear", "seed": 5, "n": 2}
    file.write_text(f"# fruit\na red apple\n\na red apple\n{json.dumps(own)}\n一个红苹果\n", encoding="utf-8")
    return file


def test_a_batch_that_is_run_again_draws_only_what_is_missing(
    prompts: Path, tmp_path: Path, signed_in: Customer, easel_town: Town
) -> None:
    out = tmp_path / "out"
    words = ["batch", prompts, "-o", out, "--steps", 2]
    first = easel(*words)
    assert first.exit_code == exits.OK, first.output
    names = sorted(path.name for path in out.glob("*.png"))
    assert names == ["0002-a-red-apple.png", "0004-a-red-apple.png", "0005-a-pear-1.png", "0005-a-pear-2.png",
                     "0006-一个红苹果.png"]  # fmt: skip
    (out / "0006-一个红苹果.png").unlink()
    with prompts.open("a", encoding="utf-8") as file:
        file.write("a plum\n")
    told = lines(easel("--json", *words))
    assert [each["number"] for each in told] == [6, 7] or [each["number"] for each in told] == [7, 6]
    with Easel(easel_town.base_url, signed_in.key.public_id, signed_in.secret) as client:
        assert len(list(client.list())) == 5  # what was only lost on disk was not drawn again


def test_a_batch_that_was_killed_goes_on_without_drawing_twice(
    tmp_path: Path, signed_in: Customer, easel_town: Town
) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("".join(f"apple {number}\n" for number in range(12)))
    words = [sys.executable, "-m", "easel_client", "batch", str(prompts), "-o", str(out), "--steps", "20"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "sdk" / "python")}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.png"))) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    done = easel("batch", prompts, "-o", out, "--steps", 20)
    assert done.exit_code == exits.OK, done.output
    assert len(list(out.glob("*.png"))) == 12
    with Easel(easel_town.base_url, signed_in.key.public_id, signed_in.secret) as client:
        assert len(list(client.list())) == 12


def test_what_fails_is_told_and_tried_anew_by_the_next_run(tmp_path: Path, signed_in: Customer) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text('{"prompt": "a pear", "width": 63}\nan apple\n')
    done = easel("batch", prompts, "-o", out, "--steps", 2)
    assert done.exit_code == exits.NO_PICTURE
    assert "line 1" in done.stderr
    assert [path.name for path in out.glob("*.png")] == ["0002-an-apple.png"]
    prompts.write_text('{"prompt": "a pear", "width": 64}\nan apple\n')
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK


def test_a_batch_ends_at_once_where_no_item_could_fare_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, easel_town: Town, ada: Customer
) -> None:
    sign_in(monkeypatch, easel_town.base_url, ada, secret="es_" + "x" * 43)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("an apple\n" * 20)
    done = easel("batch", prompts, "-o", tmp_path / "out")
    assert done.exit_code == exits.NOT_LET_IN
    assert done.stderr.count("easel:") == 1


@pytest.mark.parametrize("line", ["{broken", '{"seed": 7}', '{"prompt": "a pear", "idempotency_key": "mine"}'])
def test_a_line_that_cannot_be_read_is_named_before_anything_is_asked_for(
    tmp_path: Path, line: str, signed_in: Customer
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(f"an apple\n{line}\n")
    done = easel("batch", prompts, "-o", tmp_path / "out")
    assert (done.exit_code, "Line 2" in done.stderr) == (exits.USAGE, True)


def test_a_journal_whose_last_line_was_cut_off_is_read(tmp_path: Path, signed_in: Customer) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("an apple\n")
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK
    for cut in (b'{"item": "ab', '{"item": "ab", "prompt": "一'.encode()[:-1]):
        with (out / "easel-batch.jsonl").open("ab") as file:
            file.write(cut)
        assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK
        assert (out / "easel-batch.jsonl").read_bytes().endswith(b"}\n")
    (out / "easel-batch.jsonl").write_text("nonsense\n")
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.USAGE


PASSING = [
    errors.Overloaded("Not now.", status=503), errors.InternalError("A failure.", status=500),
    errors.RateLimited("Too fast.", status=429), errors.SealedInvalid("The clock is wrong.", status=400),
    errors.DamagedImage("It came with another SHA-256."),
    errors.GenerationInReview("It waits for staff.", SimpleNamespace(id="0193-a")),
]  # fmt: skip


@pytest.mark.parametrize("trouble", PASSING, ids=lambda error: type(error).__name__)
def test_what_may_have_been_drawn_is_fetched_by_the_next_run_and_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed_in: Customer, easel_town: Town, trouble: Exception
) -> None:
    wait, troubles = AsyncEasel.wait, [trouble]

    async def troubled(client: AsyncEasel, generation: Any, *, timeout: float) -> AsyncGeneration:
        if troubles:
            raise troubles.pop()
        return await wait(client, generation, timeout=timeout)

    monkeypatch.setattr(AsyncEasel, "wait", troubled)
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("an apple\n")
    words = ["batch", prompts, "-o", out, "--steps", 2]
    assert easel(*words).exit_code == exits.NO_PICTURE
    assert easel(*words).exit_code == exits.OK
    assert [path.name for path in out.glob("*.png")] == ["0001-an-apple.png"]
    with easel_town.client(signed_in) as client:
        assert len(list(client.list())) == 1


@pytest.mark.usefixtures("signed_in")
def test_batches_share_a_folder_without_writing_over_what_is_not_theirs(tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    out.mkdir()
    (out / "0002-a-pear.png").write_text("a drawing of mine")
    prompts.write_text("an apple\na pear\n")
    assert easel("batch", prompts, "-o", out, "--steps", 2, "--seed", 1).exit_code == exits.OK
    first = (out / "0001-an-apple.png").read_bytes()
    for _ in range(2):
        assert easel("batch", prompts, "-o", out, "--steps", 2, "--seed", 2).exit_code == exits.OK
    assert (out / "0001-an-apple.png").read_bytes() == first
    assert (out / "0002-a-pear.png").read_text() == "a drawing of mine"
    assert len(list(out.glob("0001-an-apple*.png"))) == 2
    assert len(list(out.glob("0002-a-pear*.png"))) == 3


@pytest.mark.usefixtures("signed_in")
def test_a_finished_folder_that_can_only_be_read_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("an apple\n")
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK
    opened = Path.open

    def read_only(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if path.parent == out and mode[0] in "wax":
            raise PermissionError(path)  # to root nothing is read-only
        return opened(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", read_only)
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK


@pytest.mark.usefixtures("signed_in")
def test_two_batches_do_not_work_in_one_folder_at_the_same_time(tmp_path: Path) -> None:
    """Each would ask under keys of its own, and pay."""
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("an apple\n")
    with Journal(out) as journal:
        assert journal.begin(items_of("a pear", {})[0]), "its own lock does not keep it from its file"
        done = easel("batch", prompts, "-o", out, "--steps", 2)
        assert (done.exit_code, "Another batch is at work" in done.stderr) == (exits.UNKNOWN, True)
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\u0085", "\x0b"])
def test_a_prompt_may_hold_what_ends_lines_in_unicode(tmp_path: Path, end: str) -> None:
    (item,) = items_of(f"a red{end}apple\r\n", {})
    assert item.prompt == f"a red{end}apple"
    key = Journal(tmp_path).begin(item)
    assert Journal(tmp_path).begin(item) == key


@pytest.mark.usefixtures("signed_in")
def test_prompts_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_bytes('\ufeff{"prompt": "a pear"}\r\nan apple\r\n'.encode())
    assert easel("batch", prompts, "-o", out, "--steps", 2).exit_code == exits.OK
    assert sorted(path.name for path in out.glob("*.png")) == ["0001-a-pear.png", "0002-an-apple.png"]


def test_a_folder_that_cannot_be_written_to_ends_a_batch_with_one_error(
    tmp_path: Path, signed_in: Customer, easel_town: Town
) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("an apple\n")
    words = ["batch", prompts, "-o", out, "--steps", 2]
    (item,) = items_of("an apple\n", {"steps": 2})
    blocked = [out / "0001-an-apple.png", out / f"0001-an-apple-{item.digest[:8]}.png"]
    for each in blocked:
        each.mkdir(parents=True)
    done = easel(*words)
    assert (done.exit_code, done.stderr.count("easel:")) == (exits.UNKNOWN, 1), done.output
    for each in blocked:
        each.rmdir()
    assert easel(*words).exit_code == exits.OK
    with easel_town.client(signed_in) as client:
        assert len(list(client.list())) == 1
