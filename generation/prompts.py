"""Prompts at rest: sealed under the tenant's key and bound to their generation and field."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from django.utils.translation import gettext

from easel.crypto import CryptoError, DataKey, open_sealed, seal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows of a generation's words."""

    prompt: str
    negative_prompt: str
    readable: bool


def seal_prompts(prompt: str, negative_prompt: str, *, key: DataKey, generation_id: UUID) -> tuple[bytes, bytes]:
    return (
        seal(prompt.encode(), key=key, context=_context("prompt", generation_id)),
        seal(negative_prompt.encode(), key=key, context=_context("negative_prompt", generation_id)),
    )


def open_prompts(
    prompt: bytes | memoryview, negative_prompt: bytes | memoryview, *, key: DataKey, generation_id: UUID
) -> tuple[str, str]:
    """Both prompts in clear; empty ones where they were erased. Raises easel.crypto.TamperedSeal."""
    if not prompt and not negative_prompt:
        return "", ""
    return (
        open_sealed(prompt, key=key, context=_context("prompt", generation_id)).decode(),
        open_sealed(negative_prompt, key=key, context=_context("negative_prompt", generation_id)).decode(),
    )


def told_prompts(
    prompt: bytes | memoryview, negative_prompt: bytes | memoryview, *, key: DataKey, generation_id: UUID
) -> tuple[str | None, str | None]:
    """For programs: None and None where the row is damaged, which is no reason to keep the rest from them."""
    try:
        return open_prompts(prompt, negative_prompt, key=key, generation_id=generation_id)
    except CryptoError:
        log.warning("prompts.unreadable", generation=str(generation_id), exc_info=True)
        return None, None


def shown_prompts(
    prompt: bytes | memoryview, negative_prompt: bytes | memoryview, *, key: DataKey, generation_id: UUID
) -> Shown:
    """For people: a damaged row says of itself that it cannot be read, and hides nothing around it."""
    words, negative = told_prompts(prompt, negative_prompt, key=key, generation_id=generation_id)
    if words is None or negative is None:
        return Shown(gettext("(this prompt cannot be read)"), "", readable=False)
    return Shown(words, negative, readable=True)


def _context(field: str, generation_id: UUID) -> bytes:
    return f"generation.{field}:".encode() + generation_id.bytes
