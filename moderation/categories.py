"""What is looked for, and what may be done about it."""

from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["allow", "review", "block"]
ACTIONS: Final[tuple[Action, ...]] = ("allow", "review", "block")  # mildest first

MINORS: Final = "sexual/minors"  # always blocked, never shown unblurred, never quoted anywhere
UNSCREENED: Final = "unscreened"  # no category: a layer that could not answer


@dataclass(frozen=True, slots=True)
class Category:
    """`severity` orders the queue: 3 first. `image` says whether the default image model looks for it."""

    title: str
    severity: int
    image: bool = False


CATEGORIES: Final = {
    "sexual": Category("Nudity and sexual acts", 2, image=True),
    MINORS: Category("Sexualized minors", 3),
    "violence": Category("Graphic violence and gore", 2),
    "hate": Category("Hatred of groups, and its symbols", 2),
    "self-harm": Category("Suicide, self-harm, eating disorders", 3),
    "illegal": Category("Drugs, weapons, forged papers, trade in them", 2),
    "public-figures": Category("Recognizable public figures", 1),
    "private-persons": Category("Private persons exposed or harassed", 2),
    "political": Category("Political agitation and events", 1),
    "spam": Category("Fraud, phishing, misleading advertising", 1),
}


def worst(*actions: Action) -> Action:
    return max(actions, key=ACTIONS.index, default="allow")
