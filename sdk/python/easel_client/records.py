"""What Easel answers, as frozen values. All of an answer is in `raw`, also what this version has no name for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from easel_client.errors import UnexpectedAnswer

R = TypeVar("R")

UNFINISHED = frozenset({"queued", "running"})


def read(kind: type[R], data: Any, **more: Any) -> R:
    """A record from an object of the API. What it has no field for stays in `raw`; what is not there is None."""
    if not isinstance(data, Mapping):
        raise UnexpectedAnswer(f"An object was to be answered, and {type(data).__name__} came.")
    known = {each.name: data.get(each.name) for each in fields(kind)}  # type: ignore[arg-type]  # each is a dataclass
    return kind(**{**known, "raw": data, **more})


@dataclass(frozen=True)
class ImageData:
    id: str
    index: int
    seed: int
    width: int
    height: int
    content_type: str
    bytes: int
    sha256: str
    steps_run: int | None
    quality_score: float | None
    url: str  # good for about an hour, for whoever has it
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class GenerationData:
    """A generation as the API has it (docs/api.md); `images` come with the clients' own classes."""

    id: str
    status: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    model: str
    model_version: str
    asked_model: str
    fallback_from: str | None
    cached: bool
    prompt: str | None  # None where its row is damaged
    negative_prompt: str | None
    steps: int
    width: int
    height: int
    cfg_scale: float
    sampler: str
    seed: int
    n: int
    format: str
    metadata: Mapping[str, str]
    credits: int | None
    steps_run: int
    quality_score: float | None
    timings: Mapping[str, float | None]
    receipt: Mapping[str, Any] | None
    warnings: list[str]
    error: Mapping[str, str] | None
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def task_id(self) -> str:
        return self.id

    @property
    def done(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status not in UNFINISHED

    @property
    def quoted(self) -> int | None:
        """What was held for it: the most it can cost."""
        held = self.raw.get("quote") or {}
        return held.get("credits")


@dataclass(frozen=True)
class Status:
    task_id: str
    status: str
    progress: float
    queue_position: int | None
    eta_seconds: float | None
    error: Mapping[str, str] | None
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def done(self) -> bool:
        return self.status not in UNFINISHED


@dataclass(frozen=True)
class Quote:
    """A price. Give `quote` along with the same request, and it is never charged for more."""

    quote: str
    credits: int
    credits_per_image: int
    n: int
    model: str
    model_version: str
    steps: int
    width: int
    height: int
    sampler: str
    wait_seconds: float | None
    expires_at: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """What moderation says of one input."""

    flagged: bool
    action: str  # allow, review or block
    categories: Mapping[str, bool]
    category_scores: Mapping[str, float]
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Model:
    name: str
    title: str
    description: str
    version: str
    license: str
    default: bool
    native_size: int | None
    limits: Mapping[str, int | None]
    defaults: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Sampler:
    name: str
    model_calls_at_20_steps: int
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Input:
    """A picture that Easel keeps for `init_image` or `mask`, by its id."""

    id: str
    width: int
    height: int
    sha256: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    plan: Mapping[str, Any]
    limits: Mapping[str, Any]
    wallet: Mapping[str, Any]
    quotas: Mapping[str, Mapping[str, Any]]
    spend: Mapping[str, int | None]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def available(self) -> int:
        """Credits that can be spent."""
        return int(self.wallet["available"])


@dataclass(frozen=True)
class Usage:
    """`data` has a row for each group, `total` the sums of the period."""

    to: str
    group_by: list[str]
    data: list[Mapping[str, Any]]
    total: Mapping[str, int]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def first(self) -> str:
        """The first day; `from` is a word of Python."""
        return str(self.raw["from"])


@dataclass(frozen=True)
class Key:
    id: str
    name: str
    mode: str
    scopes: list[str]
    allowed_networks: list[str]
    previous_secret_until: str | None
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    secret: str | None = field(repr=False)  # only in the answer that made it
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Endpoint:
    """Where webhooks go."""

    id: str
    url: str | None
    description: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    previous_secret_until: str | None
    created_at: str | None
    secret: str | None = field(repr=False)  # only in the answer that made it
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one address, with every attempt."""

    id: str
    event: Mapping[str, Any]
    url: str
    state: str
    next_attempt_at: str | None
    attempts: list[Mapping[str, Any]]
    created_at: str
    ended_at: str | None
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Ticket:
    """Lets a browser follow one generation's events: `?ticket=`."""

    ticket: str
    generation_id: str
    expires_at: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Cancellation:
    canceled: list[str]
    stopping: list[str]
    has_more: bool
    raw: Mapping[str, Any] = field(repr=False)
