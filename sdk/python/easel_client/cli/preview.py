"""Pictures in the terminal, where it can: kitty's protocol, iTerm2's, or sixel."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping

from rich.console import Console, ConsoleOptions
from rich.segment import ControlType, Segment

ROWS = 12  # a picture's height in lines
SIXEL_PIXELS = 240
_CHUNK = 4096  # kitty takes no more base64 at once


def protocol(environment: Mapping[str, str], *, terminal: bool) -> str:
    """kitty, iterm2, sixel, or empty where pictures cannot be shown. The terminal is not asked, only its variables:
    asking would eat what is typed ahead."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if not terminal or term == "dumb" or term.startswith(("tmux", "screen")) or "TMUX" in environment:
        return ""
    if "kitty" in term or "KITTY_WINDOW_ID" in environment or program == "ghostty" or "ghostty" in term:
        return "kitty"
    if program in {"iTerm.app", "WezTerm", "mintty"} or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if "sixel" in term or term.startswith(("foot", "mlterm", "contour")):
        return "sixel"
    return ""


class Inline:
    """A picture as something that rich prints."""

    def __init__(self, sequence: str) -> None:
        self._sequence = sequence

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield Segment(self._sequence, None, [(ControlType.CARRIAGE_RETURN,)])  # a control: it has no width
        yield Segment.line()


def inline(picture: bytes, kind: str) -> Inline | None:
    """None where this terminal cannot show this file without Pillow, and Pillow is not there."""
    encode = {"kitty": _kitty, "iterm2": _iterm2, "sixel": _sixel}.get(kind)
    sequence = encode(picture) if encode else None
    return Inline(sequence) if sequence else None


def _kitty(picture: bytes) -> str | None:
    png = picture if picture.startswith(b"\x89PNG") else _as_png(picture)
    if png is None:
        return None
    text = base64.b64encode(png).decode()
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        more = int(number + 1 < len(chunks))
        head = f"a=T,f=100,q=2,r={ROWS},m={more}" if number == 0 else f"m={more}"
        parts.append(f"\x1b_G{head};{chunk}\x1b\\")
    return "".join(parts)


def _iterm2(picture: bytes) -> str:
    text = base64.b64encode(picture).decode()
    return f"\x1b]1337;File=inline=1;size={len(picture)};height={ROWS};preserveAspectRatio=1:{text}\x07"


def _as_png(picture: bytes) -> bytes | None:
    try:
        from PIL import Image
    except ImportError:
        return None
    png = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(png, "PNG")
    return png.getvalue()


def _sixel(picture: bytes) -> str | None:
    """DEC's format: bands of six lines, each color of a band as a row of characters with runs shortened."""
    try:
        from PIL import Image
    except ImportError:
        return None
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((SIXEL_PIXELS, SIXEL_PIXELS))
    reduced = image.quantize(64)
    palette, pixels, (width, height) = reduced.getpalette() or [], reduced.tobytes(), reduced.size
    parts = [f'\x1bPq"1;1;{width};{height}']
    for color in range(len(palette) // 3):
        red, green, blue = (round(part * 100 / 255) for part in palette[color * 3 : color * 3 + 3])
        parts.append(f"#{color};2;{red};{green};{blue}")
    for top in range(0, height, 6):
        rows = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + 6, height))]
        for color in sorted({each for row in rows for each in row}):
            bits = [sum((row[x] == color) << at for at, row in enumerate(rows)) for x in range(width)]
            parts.append(f"#{color}{_runs(bits)}$")
        parts.append("-")
    return "".join(parts) + "\x1b\\"


def _runs(bits: list[int]) -> str:
    parts, at = [], 0
    while at < len(bits):
        end = at
        while end < len(bits) and bits[end] == bits[at]:
            end += 1
        character, length = chr(63 + bits[at]), end - at
        parts.append(f"!{length}{character}" if length > 3 else character * length)
        at = end
    return "".join(parts)
