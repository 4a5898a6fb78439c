"""What cases are about, where only the queue is tested: prompts and pictures made up in code."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from moderation import cases
from moderation import subjects as registered
from moderation.cases import Opening
from moderation.findings import Finding
from moderation.models import Case
from tests.cast import Customer
from tests.moderation.pictures import png


@dataclass
class MadeUp:
    """Every case has a prompt and a picture. `decisions` are those that were applied, in order."""

    prompt: str = "a quiet harbor in the morning light, oil painting"
    negative: str = "blurry"
    last: list[str] = field(default_factory=list)
    decisions: list[tuple[UUID, bool]] = field(default_factory=list)

    def prompts(self, case: Case) -> tuple[str, str]:
        return self.prompt, self.negative

    def picture(self, case: Case) -> bytes | None:
        return png(seed=(case.image_index or 0) % 90, size=512) if case.image_id else None

    def decided(self, case: Case, *, approved: bool) -> None:
        self.decisions.append((case.id, approved))

    def last_prompts(self, count: int) -> Iterator[str]:
        return iter(self.last[:count])


@contextmanager
def made_up(**given: object) -> Iterator[MadeUp]:
    known, subjects = list(registered._subjects), MadeUp(**given)  # type: ignore[arg-type]
    registered.register(subjects)
    try:
        yield subjects
    finally:
        registered._subjects[:] = known


def open_cases(
    customer: Customer, count: int, *, category: str = "violence", phash: str = "", kind: str = "held"
) -> list[UUID]:
    """Held images. Needs the platform role."""
    made = []
    for number in range(count):
        finding = Finding(layer="image", category=category, score=0.72, action="review", rule=f"scorer {number % 3}")
        case_id = uuid4()
        opening = Opening(
            tenant_id=customer.id, generation_id=uuid4(), image_id=uuid4(), image_index=number, kind=kind,
            finding=finding, phash=phash,
        )  # fmt: skip
        assert cases.open_case(opening, case_id=case_id)
        made.append(case_id)
    return made
