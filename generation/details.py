"""Everything about one generation, as its page in the console shows it."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from easel.crypto import DataKey
from easel.database import rows
from generation import blurring, media, shares
from generation.models import Generation, Image
from generation.prompts import shown_prompts
from moderation.cards import title_of
from moderation.cases import REASONS
from tenants.scope import tenant_scope

Fact = tuple[Promise, Any]

# What other tables say of it, in one statement.
_AROUND: Final = """
SELECT
    (SELECT array_agg(name ORDER BY name) FROM generation_tag WHERE tenant_id = %(tenant)s AND generation_id = %(id)s),
    (SELECT json_agg(json_build_object('kind', kind, 'status', status, 'decision', decision, 'reason', reason,
        'category', category, 'image_index', image_index, 'created_at', created_at, 'decided_at', decided_at)
        ORDER BY created_at)
     FROM moderation_case WHERE tenant_id = %(tenant)s AND generation_id = %(id)s AND kind <> 'second'),
    (SELECT json_build_object('name', name, 'public_id', public_id) FROM tenants_apikey
     WHERE tenant_id = %(tenant)s AND id = %(key)s),
    (SELECT json_agg(json_build_object('id', share.id, 'image', share.image_id, 'expires_at', share.expires_at)
        ORDER BY share.id DESC)
     FROM generation_share share JOIN generation_image image ON image.id = share.image_id
     WHERE share.tenant_id = %(tenant)s AND image.generation_id = %(id)s AND share.revoked_at IS NULL
        AND (share.expires_at IS NULL OR share.expires_at > now()))
"""


def of(tenant_id: UUID, generation_id: UUID, *, key: DataKey, base_url: str) -> dict[str, Any] | None:
    """None where the tenant has no such generation."""
    with tenant_scope(tenant_id):
        generation = Generation.objects.select_related("model").filter(id=generation_id, erased_at=None).first()
        if generation is None:
            return None
        images = list(Image.objects.filter(generation_id=generation_id).order_by("index"))
        names = {"tenant": tenant_id, "id": generation_id, "key": generation.key_id}
        ((tags, cases, made_by, links),) = rows(_AROUND, names)
    words = shown_prompts(
        generation.prompt_sealed, generation.negative_prompt_sealed, key=key, generation_id=generation_id
    )
    cases = cases or []
    return {
        "generation": generation,
        "prompt": words.prompt,
        "negative_prompt": words.negative_prompt,
        "readable": words.readable,
        "pictures": pictures(images, links or [], base_url=base_url),
        "parameters": parameters(generation),
        "times": times(generation),
        "costs": costs(generation),
        "receipt": json.dumps(generation.receipt, indent=2, ensure_ascii=False) if generation.receipt else "",
        "metadata": json.dumps(generation.metadata, indent=2, ensure_ascii=False) if generation.metadata else "",
        "tags": tags or [],
        "cases": [_case(each) for each in cases],
        "made_by": made_by,
        "may_appeal": may_appeal(generation, images, cases),
        "unfinished": generation.status in {Generation.Status.QUEUED, Generation.Status.RUNNING},
    }


def may_appeal(generation: Generation, images: list[Image], cases: list[dict[str, Any]]) -> bool:
    """Once, of what was refused."""
    refused = generation.status == Generation.Status.REJECTED or any(image.rejected_at for image in images)
    return refused and not any(case["kind"] == "appeal" for case in cases)


def pictures(images: list[Image], links: list[dict[str, Any]], *, base_url: str) -> list[dict[str, Any]]:
    """A released image with its address and its public links; a held one blurred; what was refused as nothing."""
    found = []
    for image in images:
        released, waits = image.released_at is not None, image.released_at is None and image.rejected_at is None
        found.append(
            {
                "image": image,
                "url": media.address(image, base_url="") if released else "",
                "veil": blurring.address(image, base_url="") if waits else "",
                "filename": media.filename(image),
                "shares": [_link(image.tenant_id, each, base_url) for each in links if each["image"] == str(image.id)],
            }
        )
    return found


def parameters(generation: Generation) -> list[Fact]:
    """What was asked for, as labels and values; what was left alone is left out."""
    facts: list[Fact] = [
        (_("Model"), generation.model.name),
        (_("Model version"), generation.model_version or generation.model.version),
        (_("Size"), f"{generation.width} × {generation.height}"),
        (_("Steps"), generation.steps),
        (_("Steps run"), generation.steps_run or None),
        (_("Guidance (cfg_scale)"), generation.cfg_scale),
        (_("Sampler"), generation.sampler),
        (_("Seed"), str(generation.seed)),
        (_("Images asked for"), generation.n),
        (_("Format"), generation.format),
        (_("Strength"), generation.strength),
        (_("Clip skip"), generation.clip_skip if generation.clip_skip != 1 else None),
        (_("Quality target"), generation.quality_target),
        (_("Least steps"), generation.min_steps),
        (_("Started from an image"), generation.init_image_id),
        (_("Mask"), generation.mask_id),
        (_("Asked for model"), generation.asked_model if generation.asked_model != generation.model.name else None),
        (_("In the place of"), generation.fallback_from),
        (_("Category"), (generation.route or {}).get("category")),
        (_("Attempts"), generation.attempts if generation.attempts > 1 else None),
    ]
    return [(label, value) for label, value in facts if value not in (None, "")]


def times(generation: Generation) -> list[Fact]:
    timings = generation.timings or {}
    facts: list[Fact] = [
        (_("Asked for"), _moment(generation.created_at)),
        (_("Begun"), _moment(generation.started_at)),
        (_("Ended"), _moment(generation.finished_at)),
        (_("Waited"), _seconds(timings.get("queued_seconds"))),
        (_("Drawn in"), _seconds(timings.get("drawing_seconds"))),
        (_("Altogether"), _seconds(timings.get("total_seconds"))),
    ]
    return [(label, value) for label, value in facts if value is not None]


def costs(generation: Generation) -> list[Fact]:
    facts: list[Fact] = [
        (_("Quote (the most it could cost)"), generation.quote),
        (_("Charged"), generation.credits),
        (_("From the cache"), _("yes") if generation.cached_from else None),
        (_("Work"), f"{generation.work:.2f}"),
    ]
    return [(label, value) for label, value in facts if value is not None]


def _link(tenant_id: UUID, link: dict[str, Any], base_url: str) -> dict[str, Any]:
    share_id = UUID(link["id"])
    expires = datetime.fromisoformat(link["expires_at"]) if link["expires_at"] else None
    address = shares.address(tenant_id, share_id, base_url=base_url)
    return {"id": share_id, "element": f"link-{share_id}", "address": address, "expires_at": expires}


def _case(case: dict[str, Any]) -> dict[str, Any]:
    """What a customer may know of it: what concerns minors is named, and nothing is said of how it was found."""
    return {
        **case,
        "title": title_of(case["category"]),
        "reason": REASONS.get(case["reason"], ""),
        "decided": case["status"] == "applied",
    }


def _moment(when: datetime | None) -> str | None:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when else None


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f} s"
