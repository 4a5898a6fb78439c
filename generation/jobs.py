"""What passes between a source of work and a worker: a job under lease, and its images on their way home."""

from dataclasses import dataclass, field
from uuid import UUID

from easel.sealed_file import SealedFile
from generation.spec import Format, planned_steps
from moderation.findings import Judgment
from tenants.data_policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A generation under lease, with all that drawing and delivering it needs. Sizes in pixels."""

    lease_id: UUID
    generation_id: UUID
    tenant_id: UUID
    pool_id: UUID
    pool: str
    request_id: str
    attempts: int
    prompt: str
    negative_prompt: str
    steps: int
    width: int
    height: int
    cfg_scale: float
    sampler: str
    seed: int
    n: int
    format: Format
    init_image: "GivenObject | None"
    mask: "GivenObject | None"
    strength: float | None
    clip_skip: int
    quality_target: float | None
    min_steps: int | None
    work: float
    quote: int
    model_id: UUID
    model_label: str  # for metrics: models of everybody by name
    model_name: str
    model_source: str
    model_revision: str
    model_digest: str
    model_native_size: int | None
    model_prompt_prefix: str
    waited_seconds: float  # from acceptance to this claim
    key_id: UUID | None  # whose policy counts
    screened: str  # what was said of the words before
    policy: Policy = field(default_factory=Policy)

    @property
    def traced(self) -> dict[str, str | int]:
        """What a trace says of it: ids and the model, no words."""
        return {
            "easel.generation": str(self.generation_id), "easel.tenant": str(self.tenant_id),
            "easel.model": self.model_name, "easel.pool": self.pool, "easel.claim": self.attempts,
        }  # fmt: skip

    @property
    def planned_steps(self) -> int:
        """Of each image, at most."""
        return planned_steps(self.steps, self.strength)


@dataclass(frozen=True, slots=True)
class GivenObject:
    """A given picture in storage, and how it was encrypted, if it was."""

    object_key: str
    seal: SealedFile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An image that was judged, and is in storage and waits for its row; or was refused, and is nowhere."""

    index: int
    seed: int
    width: int
    height: int
    content_type: str
    bytes: int
    sha256: str
    object_key: str
    steps_run: int
    seconds: float
    judgment: Judgment
    warnings: tuple[str, ...] = ()
    quality_score: float | None = None
    engine: dict[str, str] = field(default_factory=dict)
    seal: SealedFile | None = None  # how the object was encrypted, if it was
    preview: Judgment | None = None  # what was said of it on the way
