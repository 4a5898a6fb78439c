"""Pictures that customers give us to start from, kept under the tenant's prefix.

`store` is the one door, however the bytes came; what is kept is `easel.uploads`' own PNG of the pixels, encrypted if
the tenant asks for that. Equal pictures of a tenant are kept once; one that is given again is put anew where its object
is gone, or rests in clear although the tenant asks for encryption by now. The clock removes those that nothing has used
for a day; a generation keeps its own.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError

from easel import uploads
from easel.clock import duty
from easel.crypto import CryptoError, DataKey
from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from easel.problems import Problem, invalid, storage_away
from easel.sealed_file import SealedFile
from easel.storage import ObjectMissing, StorageUnavailable, storage
from easel.uploads import Upload
from generation import judging, media, sealed_images
from generation.models import Image, Input
from generation.sealed_images import OPAQUE
from generation.spec import InputReference
from moderation.screening.client import ImageRefused, ScreeningDown, screen_image
from tenants import data_policy
from tenants.keys import data_key_of
from tenants.scope import tenant_scope

log = structlog.get_logger(__name__)

FIELDS: Final = ("init_image", "mask")
UNUSED_HOURS: Final = 24

_USE: Final = """
UPDATE generation_input SET used_at = now() WHERE tenant_id = %s AND {column} = %s
RETURNING id, sha256, width, height, reading, object_key, key_sealed IS NOT NULL,
    """ + data_policy.AS_JSON.format(tenant="generation_input.tenant_id")
_LOOKED: Final = "UPDATE generation_input SET reading = %s WHERE tenant_id = %s AND id = %s"
_ADD: Final = """
INSERT INTO generation_input (id, tenant_id, sha256, object_key, width, height, bytes, key_sealed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id, sha256) DO NOTHING
"""
_PUT_ANEW: Final = """
UPDATE generation_input SET object_key = %s, key_sealed = %s WHERE tenant_id = %s AND id = %s AND object_key = %s
"""
_KEPT_TODAY: Final = """
SELECT coalesce(sum(bytes), 0)::bigint FROM generation_input
WHERE tenant_id = %s AND created_at > now() - interval '1 day'
"""
_INTEND: Final = "INSERT INTO generation_objectintent (id, tenant_id, object_key) VALUES (%s, %s, %s)"
_ADOPT: Final = "DELETE FROM generation_objectintent WHERE tenant_id = %s AND object_key = %s"
_DOOM: Final = """
INSERT INTO generation_doomedobject (id, tenant_id, object_key) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_FORGET: Final = """
WITH unused AS (
    DELETE FROM generation_input i WHERE used_at < now() - make_interval(hours => %s) AND NOT EXISTS (
        SELECT 1 FROM generation_generation g
        WHERE g.tenant_id = i.tenant_id AND (g.init_image_id = i.id OR g.mask_id = i.id))
    RETURNING id, tenant_id, object_key)
INSERT INTO generation_doomedobject (id, tenant_id, object_key) SELECT id, tenant_id, object_key FROM unused
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """One that is there, and how its object rests. `wishes` are the tenant's of now."""

    reference: InputReference
    object_key: str
    sealed: bool
    wishes: data_policy.Policy


def settle(asked: dict[str, Any], *, tenant_id: UUID) -> dict[str, Any]:
    """A request's fields with its pictures kept and referred to, and what is started from looked at. Slow (decoding,
    storage, another process): not inside a transaction. Raises Problem."""
    settled = asked | {name: _settle(name, asked[name], tenant_id) for name in FIELDS if name in asked}
    if "init_image" in settled:
        settled["init_image"] = read(settled["init_image"], tenant_id=tenant_id)
    return settled


def read(given: InputReference, *, tenant_id: UUID) -> InputReference:
    """With what the image model makes of it, asked once and kept; without, where the model cannot be asked now."""
    if given.reading is not None:
        return given
    with tenant_scope(tenant_id):
        row = Input.objects.get(id=given.id)
        used = sealed_images.opened(row, data_key_of(tenant_id))
    try:
        shown = judging.shown(b"".join(sealed_images.contents(storage(), row.object_key, used)))
    except (ObjectMissing, CryptoError, *uploads.UNDECODABLE):  # whoever draws it finds that, too, and says so
        log.exception("inputs.unreadable", input=str(given.id))
        return given
    except StorageUnavailable as error:
        raise storage_away(error) from error
    try:
        reading = asdict(screen_image(shown))
    except (ScreeningDown, ImageRefused) as error:
        log.warning("inputs.unscreened", error=str(error))
        return given
    with tenant_scope(tenant_id):
        changed(_LOOKED, [json.dumps(reading), tenant_id, given.id])
    return replace(given, reading=reading)


def measure(asked: dict[str, Any], *, tenant_id: UUID) -> dict[str, Any]:
    """The same for a quote: the pictures are looked at and not kept. Raises Problem."""
    return asked | {name: _settle(name, asked[name], tenant_id, keep=False) for name in FIELDS if name in asked}


def known(input_id: UUID, *, tenant_id: UUID) -> InputReference | None:
    """One that is kept, for another use."""
    kept = _use(tenant_id, "id", input_id)
    return kept.reference if kept else None


def contents(given: Input, key: DataKey) -> bytes:
    """The picture's file, in clear. Raises storage errors and TamperedSeal."""
    return b"".join(sealed_images.contents(storage(), given.object_key, sealed_images.opened(given, key)))


def store(data: bytes, *, tenant_id: UUID) -> InputReference:
    """Keep a picture and refer to it. Raises uploads.BadUpload, Problem, or what storage raises."""
    upload = uploads.read(data)
    digest = hashlib.sha256(upload.png).hexdigest()
    if (kept := _use(tenant_id, "sha256", digest)) is None:
        _add(upload, digest, tenant_id)
        kept = _use(tenant_id, "sha256", digest)
        return kept.reference if kept else store(data, tenant_id=tenant_id)
    if (kept.wishes.seal_images and not kept.sealed) or not _is_there(kept.object_key):
        _put_anew(kept, upload, tenant_id)
    return kept.reference


def _add(upload: Upload, digest: str, tenant_id: UUID) -> None:
    input_id = new_id()
    with tenant_scope(tenant_id):
        _check_room(tenant_id, len(upload.png))
        object_key, wishes = _intended(tenant_id, input_id)
    used = _put(upload, object_key, wishes)
    with tenant_scope(tenant_id):
        added = [input_id, tenant_id, digest, object_key, upload.width, upload.height, len(upload.png)]
        if changed(_ADD, [*added, sealed_images.closed(tenant_id, object_key, used)]):
            changed(_ADOPT, [tenant_id, object_key])  # otherwise a twin was faster, and the clock removes ours


def _put_anew(kept: Kept, upload: Upload, tenant_id: UUID) -> None:
    """Under another key, so that whoever reads the row finds a key and an object that fit."""
    with tenant_scope(tenant_id):
        object_key, wishes = _intended(tenant_id, new_id())
    used = _put(upload, object_key, wishes)
    with tenant_scope(tenant_id):
        sealed = sealed_images.closed(tenant_id, object_key, used)
        if changed(_PUT_ANEW, [object_key, sealed, tenant_id, kept.reference.id, kept.object_key]):
            changed(_ADOPT, [tenant_id, object_key])  # otherwise a twin was faster, and the clock removes ours
            changed(_DOOM, [new_id(), tenant_id, kept.object_key])


def _intended(tenant_id: UUID, name: UUID) -> tuple[str, data_policy.Policy]:
    """Where an object is about to be put, noted for the clock, and how the tenant wants it to rest."""
    object_key = f"t/{tenant_id}/i/{name}.png"
    changed(_INTEND, [new_id(), tenant_id, object_key])
    return object_key, data_policy.policy_of(tenant_id)


def _put(upload: Upload, object_key: str, wishes: data_policy.Policy) -> SealedFile | None:
    used = SealedFile.new(len(upload.png)) if wishes.seal_images else None
    storage().put(object_key, used.seal(upload.png) if used else upload.png, OPAQUE if used else "image/png")
    return used


def _is_there(object_key: str) -> bool:
    try:
        return storage().exists(object_key)
    except StorageUnavailable as error:  # nothing says that it is gone, and whoever draws from it waits for the store
        log.warning("inputs.not_looked_for", error=str(error))
        return True


def _check_room(tenant_id: UUID, size: int) -> None:
    """A file of 10 MB can decode to 48, and costs nothing until it is drawn from."""
    ((kept,),) = rows(_KEPT_TODAY, [tenant_id])
    if kept + size > settings.GIVEN_BYTES_A_DAY:
        most = settings.GIVEN_BYTES_A_DAY // 2**20
        said = f"An account may give us {most} MiB of pictures within a day. Try again later."
        raise Problem("quota_exceeded", said, headers={"Retry-After": "3600"})


def _settle(name: str, given: bytes | UUID, tenant_id: UUID, *, keep: bool = True) -> InputReference:
    try:
        if isinstance(given, UUID) and (named := known(given, tenant_id=tenant_id)) is not None:
            return named
        data = _earlier(given, tenant_id) if isinstance(given, UUID) else given
        return store(data, tenant_id=tenant_id) if keep else _passing(data)
    except uploads.BadUpload as error:
        raise invalid(name, error.code, error.detail) from error
    except (Image.DoesNotExist, ObjectMissing) as error:
        raise invalid(name, "unknown_image", "There is no such image.") from error
    except StorageUnavailable as error:
        raise storage_away(error) from error


def _passing(data: bytes) -> InputReference:
    upload = uploads.read(data)
    digest = hashlib.sha256(upload.png).hexdigest()
    return InputReference(id=new_id(), sha256=digest, width=upload.width, height=upload.height)


def _earlier(image_id: UUID, tenant_id: UUID) -> bytes:
    """The file of an image that the tenant may see."""
    with tenant_scope(tenant_id):
        image = Image.objects.get(id=image_id, released_at__isnull=False)
    return media.fetch(image)


def _use(tenant_id: UUID, column: str, value: Any) -> Kept | None:
    """Note that it is needed, so that the clock leaves it alone."""
    with tenant_scope(tenant_id):
        found = rows(_USE.format(column=column), [tenant_id, value])
    if not found:
        return None
    ((input_id, sha256, width, height, reading, object_key, sealed, wishes),) = found
    read_before = json.loads(reading) if isinstance(reading, str) else reading
    reference = InputReference(id=input_id, sha256=sha256, width=width, height=height, reading=read_before)
    return Kept(reference, object_key, sealed, data_policy.read(wishes))


@duty("forget_unused_inputs", every=600.0)
def forget_unused_inputs() -> int:
    try:
        with atomic():
            return changed(_FORGET, [UNUSED_HOURS])
    except IntegrityError as error:  # one of them was used in this very moment
        log.info("inputs.in_use_again", error=str(error))
        return 0
