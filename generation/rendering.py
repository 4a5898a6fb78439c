"""How a generation looks to a customer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from easel.crypto import DataKey
from generation import blurring
from generation.media import address
from generation.models import Generation, Image
from generation.prompts import told_prompts
from moderation import cases

UNFINISHED = {Generation.Status.QUEUED, Generation.Status.RUNNING}


def whole(
    generation: Generation, images: Sequence[Image], *, key: DataKey, base_url: str, held: Sequence[Image] = ()
) -> dict[str, Any]:
    """Everything. `generation.model` must be loaded; `held` are the images that wait for staff."""
    prompt, negative_prompt = told_prompts(
        generation.prompt_sealed, generation.negative_prompt_sealed, key=key, generation_id=generation.id
    )
    return {
        "id": str(generation.id),
        "task_id": str(generation.id),
        "object": "generation",
        "status": generation.status,
        "created_at": _moment(generation.created_at),
        "started_at": _moment(generation.started_at),
        "finished_at": _moment(generation.finished_at),
        "model": generation.model.name,
        "asked_model": generation.asked_model or generation.model.name,
        "fallback_from": generation.fallback_from or None,
        "route": generation.route,
        "cached": generation.cached_from is not None,
        "model_version": generation.model_version or generation.model.version,
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "steps": generation.steps,
        "width": generation.width,
        "height": generation.height,
        "cfg_scale": generation.cfg_scale,
        "sampler": generation.sampler,
        "seed": generation.seed,
        "n": generation.n,
        "format": generation.format,
        "init_image": _id(generation.init_image_id),
        "mask": _id(generation.mask_id),
        "strength": generation.strength,
        "clip_skip": generation.clip_skip,
        "quality_target": generation.quality_target,
        "min_steps": generation.min_steps,
        "metadata": generation.metadata,
        "quote": {"credits": generation.quote},
        "credits": generation.credits,
        "images": [picture(image, base_url=base_url) for image in images],
        "steps_run": generation.steps_run,
        "quality_score": _mean([image.quality_score for image in images if image.quality_score is not None]),
        "timings": generation.timings,
        "receipt": generation.receipt or None,
        "warnings": generation.warnings,
        "error": error(generation.error_code, generation.error_detail),
        "review": review(generation, held, base_url=base_url),
        "links": links(generation, base_url=base_url),
    }


def result(generation: Generation, images: Sequence[Image], *, base_url: str) -> dict[str, Any]:
    return {
        "task_id": str(generation.id),
        "status": generation.status,
        "images": [picture(image, base_url=base_url) for image in images],
        "credits": generation.credits,
        "warnings": generation.warnings,
        "error": error(generation.error_code, generation.error_detail),
    }


def picture(image: Image, *, base_url: str) -> dict[str, Any]:
    return {
        "id": str(image.id),
        "index": image.index,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "content_type": image.content_type,
        "bytes": image.bytes,
        "sha256": image.sha256,
        "steps_run": image.steps_run,
        "quality_score": image.quality_score,
        "url": address(image, base_url=base_url),
    }


def review(generation: Generation, held: Sequence[Image], *, base_url: str) -> dict[str, Any] | None:
    """What waits, why and for how long; None where nothing does. A held image is told blurred beyond recognition."""
    if generation.status != Generation.Status.IN_REVIEW:
        return None
    return {
        "category": generation.category,
        "expected_seconds": None if generation.unscreened else cases.expected_wait(),
        "images": [
            {
                "id": str(image.id), "index": image.index, "width": image.width, "height": image.height,
                "thumbnail": blurring.address(image, base_url=base_url),
            }
            for image in held
        ],
    }  # fmt: skip


def links(generation: Generation, *, base_url: str) -> dict[str, str]:
    root = f"{base_url}/v1/generations"
    return {
        "self": f"{root}/{generation.id}",
        "status": f"{root}/status/{generation.id}",
        "result": f"{root}/result/{generation.id}",
        "events": f"{root}/{generation.id}/events",
    }


def error(code: str, detail: str) -> dict[str, str] | None:
    return {"code": code, "detail": detail} if code else None


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _mean(scores: list[float]) -> float | None:
    return round(sum(scores) / len(scores), 4) if scores else None


def _moment(when: datetime | None) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if isinstance(when, datetime) else None
