"""A generation as a prediction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from easel.crypto import DataKey
from generation import progress
from generation.compat.replicate.asking import INPUTS
from generation.compat.replicate.models import OWNER, version_of
from generation.media import address
from generation.models import Generation, Image
from generation.prompts import told_prompts

ROOT: Final = "/compat/replicate/v1"
STATUS: Final = {  # what waits for staff is not over: they may let it through
    "queued": "starting", "running": "processing", "completed": "succeeded", "failed": "failed",
    "rejected": "failed", "canceled": "canceled", "in_review": "processing",
}  # fmt: skip
ENDED: Final = frozenset({"completed", "failed", "rejected", "canceled"})  # ours, whose are TERMINAL
TERMINAL: Final = {"succeeded", "failed", "canceled"}
BAR: Final = 10
_TOLD: Final = ("width", "height", "n", "steps", "cfg_scale", "sampler", "seed", "format", "strength")


def prediction(
    generation: Generation, images: Sequence[Image], *, key: DataKey, base_url: str, created: bool = False
) -> dict[str, Any]:
    """`created`: as the answer to the call that made it. Their client takes every other status than "starting" of that
    one for the end."""
    prompt, negative_prompt = told_prompts(
        generation.prompt_sealed, generation.negative_prompt_sealed, key=key, generation_id=generation.id
    )
    pictures = {"init_image": generation.init_image_id, "mask": generation.mask_id}
    given: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        **{name: f"{base_url}{ROOT}/files/{picture}" for name, picture in pictures.items() if picture},
        **{ours: getattr(generation, ours) for ours in _TOLD},
    }
    told = outline(generation, images, base_url=base_url)
    if created and told["status"] not in TERMINAL:
        told["status"] = "starting"
    return told | {
        "input": {theirs: given[ours] for theirs, ours in INPUTS.items() if given.get(ours) not in {None, ""}},
        "logs": logs(generation),
    }


def outline(generation: Generation, images: Sequence[Image], *, base_url: str) -> dict[str, Any]:
    """All but the words. `generation.model` must be loaded."""
    status = STATUS[generation.status]
    own = f"{base_url}{ROOT}/predictions/{generation.id}"
    return {
        "id": str(generation.id),
        "model": f"{OWNER}/{generation.model.name}",
        "version": version_of(generation.model),
        "status": status,
        "input": {},
        "output": [address(image, base_url=base_url) for image in images] if images else None,
        "logs": "",
        "error": failure(generation) if status == "failed" else None,
        "metrics": {"predict_time": generation.timings.get("drawing_seconds")} if status in TERMINAL else {},
        "created_at": _moment(generation.created_at),
        "started_at": _moment(generation.started_at),
        "completed_at": _moment(generation.finished_at) if status in TERMINAL else None,
        "data_removed": False,
        "source": "api",
        "urls": {"get": own, "cancel": f"{own}/cancel", "stream": f"{own}/stream"},
    }


def failure(generation: Generation) -> str:
    if generation.status == Generation.Status.REJECTED:
        return f"Moderation let no picture through. {generation.error_detail}".strip()
    return f"{generation.error_code}: {generation.error_detail}".strip(": ") or "It failed."


def logs(generation: Generation) -> str:
    """How far it is, as a line that their client reads progress from."""
    if generation.status != Generation.Status.RUNNING:
        return ""
    return progress_line(progress.of(generation.id) or 0.0)


def progress_line(fraction: float) -> str:
    percent = int(fraction * 100)
    done = int(fraction * BAR)
    return f"{percent:3d}%|{'█' * done}{' ' * (BAR - done)}| {percent}/100\n"


def webhook(generation_id: UUID) -> dict[str, Any]:
    """What a prediction's own webhook says: all but the words, and which request it goes back to. Under the platform
    role or in the tenant's scope."""
    generation = Generation.objects.select_related("model").get(id=generation_id)
    released = Image.objects.filter(generation_id=generation_id, released_at__isnull=False).order_by("index")
    told = outline(generation, list(released), base_url=str(settings.BASE_URL).rstrip("/"))
    return told | {"request_id": generation.request_id}


def _moment(when: datetime | None) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if isinstance(when, datetime) else None
