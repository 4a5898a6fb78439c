"""What moderation makes of a job's pictures: which are released, held for staff, or refused, and how the job ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final
from uuid import UUID

from generation import judging
from generation.jobs import Delivery, Job
from generation.judging import Fate, Screened
from generation.refusals import AFTER, CODE
from moderation import cases, findings, images, policy
from moderation.cases import Opening
from moderation.findings import Finding, Judgment
from moderation.models import Case

PARTLY: Final = "Moderation rejected {refused} of {n} images ({category})."


@dataclass(frozen=True)
class Outcome:
    """`status` is how the job ends."""

    job: Job
    released: Sequence[Delivery]
    held: Sequence[Delivery]
    refused: Sequence[Delivery]
    canceled: bool = False

    @classmethod
    def of(cls, job: Job, deliveries: Sequence[Delivery], *, canceled: bool = False) -> "Outcome":
        fates = [(judging.fate(job.screened, delivery.judgment), delivery) for delivery in deliveries]

        def those(wanted: Fate) -> list[Delivery]:
            return [delivery for fate, delivery in fates if fate is wanted]

        return cls(job, those(Fate.RELEASE), those(Fate.HOLD), those(Fate.REFUSE), canceled)

    @property
    def kept(self) -> list[Delivery]:
        """Those that have a row, and are paid for. Nobody decides on what its customer no longer wants."""
        kept = [*self.released, *([] if self.canceled else self.held)]
        return sorted(kept, key=lambda delivery: delivery.index)

    @property
    def dropped(self) -> list[Delivery]:
        """Those that may be in storage all the same."""
        return [*self.refused, *(self.held if self.canceled else [])]

    @property
    def status(self) -> str:
        if self.canceled:
            return "canceled"
        if self.held:
            return "in_review"
        return "completed" if self.released else "rejected"

    @property
    def complete(self) -> bool:
        """Whether equal requests may have its pictures."""
        return self.status == "completed" and not self.refused

    @property
    def category(self) -> str | None:
        """Why it is held or rejected; None: for the reason its row has already."""
        if self.status == "rejected":
            return self.refused[0].judgment.category
        if self.status == "in_review":
            return next((each.judgment.category for each in self.held if each.judgment.category), None)
        return ""

    @property
    def error_code(self) -> str:
        return CODE if self.status == "rejected" else ""

    @property
    def error_detail(self) -> str:
        return AFTER.format(category=self.category) if self.status == "rejected" else ""

    @property
    def warnings(self) -> list[str]:
        if not self.refused or self.status == "rejected":
            return []
        category = self.refused[0].judgment.category
        return [PARTLY.format(refused=len(self.refused), n=self.job.n, category=category)]

    @property
    def unscreened(self) -> bool:
        """Whether some wait for nothing but a layer's answer."""
        return not self.canceled and any(not self._for_a_person(delivery) for delivery in self.held)

    def hand_to_staff(self, delivery: Delivery, *, image_id: UUID) -> None:
        """Open the case of a held image, in the caller's transaction. What only could not be judged has none: the clock
        has it judged as soon as somebody can."""
        if not self._for_a_person(delivery):
            return
        judgment = delivery.judgment
        own = judgment.leading if judgment.action != "allow" and not judgment.unscreened else None
        hold(
            self.job.tenant_id, self.job.generation_id, image_id=image_id, image_index=delivery.index,
            finding=own or self._words, phash=judgment.phash,
        )  # fmt: skip

    def note_verdicts(self) -> None:
        for delivery in (*self.released, *self.held, *self.refused):
            for judgment in filter(None, (delivery.judgment, delivery.preview)):
                findings.store(
                    self.job.tenant_id, judgment, generation_id=self.job.generation_id, image_index=delivery.index
                )

    def _for_a_person(self, delivery: Delivery) -> bool:
        said = delivery.judgment
        return self.job.screened == Screened.REVIEW or (said.action != "allow" and not said.unscreened)

    @cached_property
    def _words(self) -> Finding | None:
        return of_words(self.job.tenant_id, self.job.generation_id)


def hold(
    tenant_id: UUID, generation_id: UUID, *, image_id: UUID, image_index: int, finding: Finding | None, phash: str
) -> None:
    """Open the case of a held image, in the caller's transaction."""
    cases.open_case(
        Opening(
            tenant_id=tenant_id, generation_id=generation_id, kind=Case.Kind.HELD, image_id=image_id,
            image_index=image_index, finding=finding, phash=phash,
        )
    )  # fmt: skip


def of_words(tenant_id: UUID, generation_id: UUID) -> Finding | None:
    """Why a request's pictures are held whatever they show."""
    return Judgment(tuple(findings.of_request(tenant_id, generation_id)), 0).leading


def judged_for(job: Job, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The deliveries as the policy of this job's key sees them, which were judged under another's."""
    effective = policy.effective(job.tenant_id, job.key_id)
    return [replace(each, judgment=images.again(each.judgment, effective)) for each in deliveries]
