"""`python -m moderation.data.adversarial`: the test set's positives, disguised as people disguise them.

It knows nothing of how moderation reads a text, and imports none of it: tricks are applied blindly to whole prompts or
to their longest words, whichever those are. Every prompt gets one trick, in turn.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

import pypinyin
import zhconv

from moderation.data.make import HERE, load, write

LEET: Final = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7"}
LOOKALIKES: Final = {"a": "а", "e": "е", "o": "ο", "p": "р", "c": "с", "x": "х", "y": "у", "i": "і", "s": "ѕ", "j": "ј"}
INVISIBLE: Final = ("\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\ufeff")
SEPARATORS: Final = (" ", ".", "-", "*", "_", "·")
Trick = Callable[[str, random.Random], str]


def leet(text: str, chance: random.Random) -> str:
    return "".join(LEET.get(letter, letter) if chance.random() < 0.8 else letter for letter in text)


def lookalikes(text: str, chance: random.Random) -> str:
    return "".join(LOOKALIKES.get(letter, letter) if chance.random() < 0.7 else letter for letter in text)


def invisible(text: str, chance: random.Random) -> str:
    return "".join(letter + (chance.choice(INVISIBLE) if chance.random() < 0.5 else "") for letter in text)


def full_width(text: str, chance: random.Random) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def math_letters(text: str, chance: random.Random) -> str:
    base = chance.choice((0x1D41A, 0x1D482, 0x1D5BA, 0x1D68A))  # bold, bold italic, sans-serif, monospace
    return "".join(chr(base + ord(letter) - 97) if "a" <= letter <= "z" else letter for letter in text)


def spaced(text: str, chance: random.Random) -> str:
    """The two longest words are pulled apart."""
    words = text.split(" ")
    longest = sorted(range(len(words)), key=lambda index: -len(words[index]))[:2]
    for index in longest:
        words[index] = chance.choice(SEPARATORS).join(words[index])
    return " ".join(words)


def stretched(text: str, chance: random.Random) -> str:
    """Vowels are held, as in chat."""
    held = [letter * chance.randint(3, 6) if letter in "aeiou" and chance.random() < 0.4 else letter for letter in text]
    return "".join(held)


def shouted(text: str, chance: random.Random) -> str:
    return "".join(letter.upper() if chance.random() < 0.5 else letter for letter in text)


def shuffled(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    chance.shuffle(words)
    return " ".join(words)


def parted(text: str, chance: random.Random) -> str:
    """A sign between all characters of a run."""
    sign = chance.choice((" ", ".", "*", "丨", "/", "、", "~"))
    return sign.join(text)


def traditional(text: str, chance: random.Random) -> str:
    return str(zhconv.convert(text, chance.choice(("zh-tw", "zh-hk", "zh-hant"))))


def pinyin(text: str, chance: random.Random) -> str:
    return " ".join(pypinyin.lazy_pinyin(text))


def half_pinyin(text: str, chance: random.Random) -> str:
    """Every other run of two characters."""
    pairs = [text[start : start + 2] for start in range(0, len(text), 2)]
    return "".join("".join(pypinyin.lazy_pinyin(pair)) if number % 2 else pair for number, pair in enumerate(pairs))


def turned(text: str, chance: random.Random) -> str:
    parts = text.split("，")
    if len(parts) == 1:
        middle = len(text) // 2
        parts = [text[:middle], text[middle:]]
    chance.shuffle(parts)
    return "，".join(parts)


TRICKS: Final[dict[str, Sequence[Trick]]] = {
    "en": (leet, lookalikes, invisible, full_width, math_letters, spaced, stretched, shouted, shuffled),
    "zh": (parted, invisible, traditional, pinyin, half_pinyin, turned),
}


def main() -> None:
    chance = random.Random("adversarial")
    records = []
    positives = [each for each in load("test") if not each["label"].startswith("none/")]
    for number, each in enumerate(positives):
        tricks = TRICKS[each["language"]]
        trick = tricks[number % len(tricks)]
        records.append({**each, "text": trick(each["text"], chance), "trick": trick.__name__})
    write(HERE / "adversarial.jsonl", records)
    print(f"adversarial: {len(records)} prompts")


if __name__ == "__main__":
    main()
