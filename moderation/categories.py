"""What is looked for, and what may be done about it."""

from dataclasses import dataclass
from typing import Final, Literal

from django.utils.translation import gettext_noop

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
    "sexual": Category(gettext_noop("Nudity and sexual acts"), 2, image=True),
    MINORS: Category(gettext_noop("Sexualized minors"), 3),
    "violence": Category(gettext_noop("Graphic violence and gore"), 2),
    "hate": Category(gettext_noop("Hatred of groups, and its symbols"), 2),
    "self-harm": Category(gettext_noop("Suicide, self-harm, eating disorders"), 3),
    "illegal": Category(gettext_noop("Drugs, weapons, forged papers, trade in them"), 2),
    "public-figures": Category(gettext_noop("Recognizable public figures"), 1),
    "private-persons": Category(gettext_noop("Private persons exposed or harassed"), 2),
    "political": Category(gettext_noop("Political agitation and events"), 1),
    "spam": Category(gettext_noop("Fraud, phishing, misleading advertising"), 1),
}


def worst(*actions: Action) -> Action:
    return max(actions, key=ACTIONS.index, default="allow")
