"""One character at a time: what it stands for, however it is drawn."""

import unicodedata
from functools import lru_cache
from typing import Final

import zhconv
from confusable_homoglyphs import confusables

INVISIBLE: Final = {"Cf", "Mn", "Me", "Cc", "Co", "Cs"}  # format, combining, control, private, half a surrogate pair
LEET: Final = str.maketrans("0134578@$!", "oieastbasi")
BREAKS: Final = "\t\n\r\v\f\x85"


@lru_cache(maxsize=50_000)
def plain(character: str) -> str:
    """Zero or more plain lower-case characters: width, ornament, accent, look-alike, traditional form undone."""
    if character in BREAKS:
        return " "
    if unicodedata.category(character) in INVISIBLE:
        return ""
    if "\uac00" <= character <= "\ud7a3":  # Korean: a syllable taken apart is no letter that anybody reads
        return character
    out = []
    for part in unicodedata.normalize("NFKD", character).casefold():
        if unicodedata.category(part) in INVISIBLE:
            continue
        out.append(_latin(part) if part.isalpha() and not is_chinese(part) else part)
    text = "".join(out)
    return str(zhconv.convert(text, "zh-hans")) if text and is_chinese(text[0]) else text


def is_chinese(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"


def _latin(letter: str) -> str:
    """The ASCII letter that this one is drawn like (Unicode's confusables), or itself."""
    if letter.isascii():
        return letter
    for alike in confusables.confusables_data.get(letter, ()):
        found = str(alike["c"]).casefold()
        if len(found) == 1 and found.isascii() and found.isalpha():
            return found
    return letter
