"""How a generation ended, as a value or an exception."""

from __future__ import annotations

from typing import TypeVar

from easel_client import errors
from easel_client.records import UNFINISHED, GenerationData

G = TypeVar("G", bound=GenerationData)


def completed(generation: G) -> G:
    """The generation if it has its pictures; raises what says why not."""
    if generation.status == "completed":
        return generation
    called = f"Generation {generation.id}"
    if generation.status in UNFINISHED:
        raise errors.WaitTimedOut(f"{called} is still {generation.status}.", generation)
    if generation.status == "canceled":
        raise errors.GenerationCanceled(f"{called} was canceled.", generation)
    if generation.status == "rejected":
        raise errors.GenerationRejected(f"{called} was rejected by moderation.", generation)
    if generation.status == "in_review":
        raise errors.GenerationInReview(f"{called} waits for a decision of staff.", generation)
    error = generation.error or {}
    code = error.get("code", "")
    said = f"{called} is {generation.status}: {error.get('detail', '')} ({code})"
    raise errors.GenerationFailed(said, generation, code)
