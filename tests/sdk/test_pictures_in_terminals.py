"""Which terminals show pictures, and what is written to them; and how files are named and written."""

import base64
import os
import stat
from pathlib import Path

import pytest
from PIL import Image as PILImage
from rich.console import Console

from easel_client.cli.drawing import slug_of
from easel_client.cli.preview import inline, protocol
from easel_client.files import write_whole


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"TERM": "xterm-kitty"}, "kitty"), ({"TERM": "xterm", "KITTY_WINDOW_ID": "1"}, "kitty"),
     ({"TERM": "xterm", "TERM_PROGRAM": "ghostty"}, "kitty"), ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
     ({"TERM_PROGRAM": "WezTerm"}, "iterm2"), ({"TERM": "foot"}, "sixel"), ({"TERM": "xterm-256color"}, ""),
     ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, ""), ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, "")],
)  # fmt: skip
def test_a_terminals_way_of_showing_pictures_is_known(environment: dict[str, str], expected: str) -> None:
    assert protocol(environment, terminal=True) == expected
    assert protocol(environment, terminal=False) == ""


def test_pictures_are_written_as_each_protocol_wants_them(tmp_path: Path) -> None:
    noise = PILImage.effect_noise((100, 60), 90).convert("RGB")
    noise.save(tmp_path / "noise.png")
    png = (tmp_path / "noise.png").read_bytes()

    def shown(kind: str) -> str:
        console = Console(force_terminal=True, width=80)
        with console.capture() as capture:
            console.print(inline(png, kind))
        return capture.get()

    parts = shown("kitty").split("\x1b_G")[1:]
    sent = [part.split("\x1b\\")[0].split(";", 1) for part in parts]
    assert all(len(data) <= 4096 for _, data in sent)
    assert [head.rpartition("m=")[2] for head, _ in sent] == ["1"] * (len(sent) - 1) + ["0"]
    assert base64.b64decode("".join(data for _, data in sent)) == png
    assert base64.b64encode(png).decode() + "\x07" in shown("iterm2")
    assert sixel_size(shown("sixel")) == (100, 60)
    assert inline(png, "") is None


def sixel_size(text: str) -> tuple[int, int]:
    """Read back as a terminal would: how wide the rows are, and how many bands of six there are."""
    body = text[text.index("\x1bPq") : text.index("\x1b\\")]
    bands = body.split("-")[:-1]
    widths = set()
    for band in bands:
        for row in band.split("$")[:-1]:
            data = row.rpartition("#")[2].lstrip("0123456789")
            width, repeat, number = 0, False, ""
            for character in data:
                if character == "!":
                    repeat, number = True, ""
                elif repeat and character.isdigit():
                    number += character
                else:
                    width += int(number) if repeat else 1
                    repeat = False
            widths.add(width)
    assert len(widths) == 1
    return widths.pop(), len(bands) * 6


def test_names_of_files_read_like_the_prompt() -> None:
    assert slug_of("A red apple, on a table!") == "a-red-apple-on-a-table"
    assert slug_of("/../?") == "picture"
    assert "/" not in slug_of("../etc/passwd")


def test_a_file_has_the_rights_of_any_new_one_and_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word to the process's umask, which all threads share."""
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask is the process's own"))
        path = write_whole(tmp_path / "new" / "apple.png", b"apple")
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"apple", 0o640)
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "new", b"apple")
    assert [*tmp_path.iterdir()] == [path.parent]
