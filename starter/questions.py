"""What recognition asks for: every concept by name in every style, by a synonym and in Chinese.

Names come first, seed by seed, so that whatever was drawn when somebody stops is whole seeds.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from starter.concepts import Concept
from starter.styles import STYLES

BY_NAME = tuple(style.id for style in STYLES)
SYNONYMS, CHINESE = "synonyms", "Chinese"


@dataclass(frozen=True)
class Question:
    """A prompt, and the concept (its index) that its picture should show. `group` names the table's row."""

    prompt: str
    concept: int
    group: str
    seed: int


def questions(concepts: Sequence[Concept], seeds: int) -> list[Question]:
    """In the order in which they are drawn: names of all seeds after the first seed's other words."""
    asked = [q for seed in range(seeds) for q in questions_of_seed(concepts, seed)]
    return sorted(asked, key=lambda q: (q.seed > 0 and q.group not in BY_NAME, q.seed))


def questions_of_seed(concepts: Sequence[Concept], seed: int) -> list[Question]:
    """Shuffled, so that the scores on the way mean something."""
    rng = random.Random(seed)
    asked = [
        Question(f"{style.before[0]} {concept.name}", index, style.id, seed)
        for style in STYLES
        for index, concept in enumerate(concepts)
    ]
    for index, concept in enumerate(concepts):
        if concept.synonyms:
            asked.append(Question(rng.choice(concept.synonyms), index, SYNONYMS, seed))
        asked.append(Question(rng.choice(concept.chinese), index, CHINESE, seed))
    rng.shuffle(asked)
    return asked
