"""What moderation says of a request and of what was drawn for it, and what that means for its pictures.

Here another process is asked: nothing of this is called inside a transaction. Where it does not answer, the judgment is
"unscreened", which holds the pictures; the clock asks again (`rejudging`).
"""

import io
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from PIL import Image

from easel import uploads
from easel.crypto import DataKey
from easel.database import platform_role
from generation.models import Generation
from generation.spec import InputReference
from moderation import images, policy, prompts
from moderation.categories import MINORS
from moderation.findings import Judgment, together
from moderation.models import Verdict
from moderation.screening.client import ImageReading
from tenants.scope import tenant_scope

LOOKED_AT: Final = 512  # pixels of the longer edge: twice of what image models take
Screened = Generation.Screened


class Fate(StrEnum):
    """Of one picture."""

    RELEASE = "release"
    HOLD = "hold"  # stored, and shown to staff alone until they decide
    REFUSE = "refuse"  # never stored, never charged


def of_request(
    prompt: str, negative_prompt: str, start: InputReference | None, *, tenant_id: UUID, key_id: UUID | None,
    data_key: DataKey,
) -> Judgment:  # fmt: skip
    """Before anything is drawn: the words, and the picture it is to start from."""
    words = prompts.read(prompt, negative_prompt, tenant_id=tenant_id, key_id=key_id)
    with tenant_scope(tenant_id):
        judgment = words.judging(tenant_id=tenant_id, data_key=data_key).ask()
        return with_start(judgment, start, tenant_id=tenant_id, key_id=key_id)


def with_start(judgment: Judgment, start: InputReference | None, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
    """The judgment on the words, and on the given picture: its scores are kept with it. In the tenant's scope."""
    if start is None:
        return judgment
    return together(judgment, _weighed(start.reading, policy.effective(tenant_id, key_id)))


def screened(judgment: Judgment) -> str:
    """How a generation's row says it."""
    if judgment.action == "allow":
        return str(Screened.CLEARED if judgment.cleared else Screened.ALLOW)
    if judgment.action == "block":
        return str(Screened.BLOCK)
    return str(Screened.UNSCREENED if judgment.unscreened else Screened.REVIEW)


def of_picture(picture: Image.Image, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
    """Of a finished picture. Its metadata is not looked at, so equal pixels are judged once."""
    return _judged(looked_at(picture), Verdict.Layer.IMAGE, tenant_id, key_id)


def of_file(data: bytes, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
    """The same of a stored file, in clear. What is no picture is for a person to see."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            shown = looked_at(picture)
    except (OSError, ValueError):
        with platform_role():
            return images.unjudged(policy.effective(tenant_id, key_id), why="its file is no picture")
    return _judged(shown, Verdict.Layer.IMAGE, tenant_id, key_id)


def of_preview(jpeg: bytes, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
    """Of what a picture looks like on the way."""
    return _judged(jpeg, Verdict.Layer.PREVIEW, tenant_id, key_id)


def fate(screened_: str, judgment: Judgment) -> Fate:
    """Of a picture that was drawn for a request of which the text layers said `screened_`."""
    if judgment.action == "block":
        cleared = screened_ == Screened.CLEARED and judgment.category != MINORS
        return Fate.HOLD if cleared else Fate.REFUSE  # what a person let through is looked at by a person again
    if judgment.action == "review" or screened_ not in {Screened.ALLOW, Screened.CLEARED}:
        return Fate.HOLD
    return Fate.RELEASE


def shown(file: bytes) -> bytes:
    """`looked_at` for a file of ours that somebody gave. Raises Problem overloaded."""
    with Image.open(io.BytesIO(file)) as picture, uploads.decoding(*picture.size):
        picture.thumbnail((LOOKED_AT, LOOKED_AT))  # first, so that there is no second copy of all pixels
        return looked_at(picture)


def looked_at(picture: Image.Image) -> bytes:
    """What the image model is shown: the pixels, without metadata, at most LOOKED_AT wide or high."""
    small = picture.convert("RGB")
    small.thumbnail((LOOKED_AT, LOOKED_AT))
    file = io.BytesIO()
    small.save(file, "png", compress_level=1)
    return file.getvalue()


def _judged(data: bytes, layer: str, tenant_id: UUID, key_id: UUID | None) -> Judgment:
    with platform_role():
        effective = policy.effective(tenant_id, key_id)
        return images.judge(data, effective, layer=layer)


def _weighed(reading: "dict[str, Any] | None", effective: policy.Effective) -> Judgment:
    """The scores of a given picture, which are kept with it."""
    return images.weigh(ImageReading(**reading), effective) if reading else images.unjudged(effective)
