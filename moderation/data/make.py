"""`python -m moderation.data.make`: writes train and test sets from the themes in sources/, always the same.

A theme file has sections `[label]` (a category, or `none/kind` for hard negatives), `name: a | b` slots and templates,
in which `{a|b}` chooses on the spot. Each section is sampled evenly over its templates. Train and test have no text,
template or theme file in common. The training has further files, each in a manner of writing of its own.
"""

import itertools
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
LANGUAGES: Final = ("en", "zh")
SLOT: Final = re.compile(r"^(@?)(\w+):(.*\|.*)$")
FIELD: Final = re.compile(r"\{([^{}]+)\}")
POSITIVES: Final = {"train": 60, "test": 44}  # per category
NEGATIVES: Final = {"train": 80, "test": 63}  # per kind
DAILY: Final = {"train": 300, "test": 63}  # ordinary prompts: what nearly everybody sends
PER_LINE: Final = 4  # texts of each line of a manner's file: many lines say more than many fillings of one


@dataclass
class Section:
    label: str
    templates: list[str] = field(default_factory=list)
    slots: dict[str, list[str]] = field(default_factory=dict)


def read(path: Path) -> list[Section]:
    sections: list[Section] = []
    shared: dict[str, list[str]] = {}
    for raw in path.read_text(encoding="utf-8").splitlines():
        if not raw.strip() or raw.startswith("#"):
            continue
        if raw.startswith("["):
            sections.append(Section(raw.strip("[] \n")))
        elif found := SLOT.match(raw):
            values = [value.strip(" ") for value in found[3].split("|")]
            (shared if found[1] else sections[-1].slots)[found[2]] = values
        else:
            sections[-1].templates.append(raw.strip())
    for section in sections:
        section.slots = {**shared, **section.slots}
    return sections


def filled(template: str, slots: dict[str, list[str]]) -> list[str]:
    names = FIELD.findall(template)
    plain = FIELD.sub("{}", template)
    choices = (name.split("|") if "|" in name else slots[name] for name in names)
    texts = (plain.format(*values) for values in itertools.product(*choices))
    return [re.sub(r"\s+", " ", re.sub(r"\s+([,，])", r"\1", text)).strip(" ") for text in texts]


def sampled(section: Section, wanted: int, chance: random.Random) -> list[str]:
    """Round after round one text of each template, until there are enough or no more."""
    heaps = [filled(template, section.slots) for template in section.templates]
    for heap in heaps:
        chance.shuffle(heap)
    texts: dict[str, None] = {}
    while len(texts) < wanted and any(heaps):
        for heap in heaps:
            if heap and len(texts) < wanted:
                texts.setdefault(heap.pop())
    return list(texts)


def make(part: str, language: str) -> list[dict[str, str]]:
    """Records; the training's say in which round they are: the position among their label's sections of themes, or the
    manner of writing."""
    chance = random.Random(f"{part} {language}")
    made, rounds = [], Counter[str]()
    for section in read(HERE / "sources" / f"{part}.{language}.txt"):
        harmless, daily = section.label.startswith("none/"), section.label == "none/daily"
        wanted = DAILY if daily else NEGATIVES if harmless else POSITIVES
        for text in sampled(section, wanted[part], chance):
            record = {"text": text, "label": section.label, "language": language}
            made.append(record | {"round": f"themes {rounds[section.label]}"} if part == "train" else record)
        rounds[section.label] += 1
    return [*made, *manners(language)] if part == "train" else made


def manners(language: str) -> list[dict[str, str]]:
    """Of sources/train: the same labels, written in other manners (tags, titles, requests, slang, …)."""
    made = []
    for path in sorted((HERE / "sources" / "train").glob(f"*.{language}.txt")):
        manner = path.name.split(".")[0]
        chance = random.Random(path.name)
        for section in read(path):
            for text in sampled(section, PER_LINE * len(section.templates), chance):
                made.append({"text": text, "label": section.label, "language": language, "round": manner})
    return made


def write(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def load(part: str) -> list[dict[str, str]]:
    """The committed set: train, test or adversarial."""
    return [json.loads(line) for line in (HERE / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()]


def main() -> None:
    sets = {part: [each for language in LANGUAGES for each in make(part, language)] for part in ("train", "test")}
    shared = {each["text"] for each in sets["train"]} & {each["text"] for each in sets["test"]}
    if shared:
        raise SystemExit(f"{len(shared)} texts are in both sets, such as {min(shared)!r}.")
    for part, records in sets.items():
        write(HERE / f"{part}.jsonl", records)
        for language in LANGUAGES:
            counts = Counter(each["label"] for each in records if each["language"] == language)
            harmless = sum(count for label, count in counts.items() if label.startswith("none/"))
            print(f"{part} {language}: {sum(counts.values()) - harmless} positives, {harmless} hard negatives")


if __name__ == "__main__":
    main()
