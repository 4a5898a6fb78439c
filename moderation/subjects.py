"""What cases are about, for an app that cannot know: the one above registers itself."""

from collections.abc import Iterator
from typing import Protocol

from moderation.models import Case


class Subjects(Protocol):
    """What a case is about, by the app that owns it. All under the platform role; `decided` in the transaction that
    applies the decision."""

    def prompts(self, case: Case) -> tuple[str, str]:
        """The prompt and the negative prompt in clear; empty once erased. Raises CryptoError."""

    def picture(self, case: Case) -> bytes | None:
        """The image's file, None where there is none (any more); an appeal's pictures beside each other. Raises
        CryptoError."""

    def decided(self, case: Case, *, approved: bool) -> None:
        """Release, refund, take down."""

    def last_prompts(self, count: int) -> Iterator[str]:
        """The newest prompts of all tenants, in clear, to try a rule out. Those that concern minors are left out."""


_subjects: list[Subjects] = []


def register(subjects: Subjects) -> None:
    """The one who knows what cases are about."""
    _subjects[:] = [subjects]


def subjects() -> Subjects:
    return _subjects[0]
