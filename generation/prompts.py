"""Prompts at rest: sealed under the tenant's key and bound to their generation and field."""

from uuid import UUID

from easel.crypto import DataKey, open_sealed, seal


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


def _context(field: str, generation_id: UUID) -> bytes:
    return f"generation.{field}:".encode() + generation_id.bytes
