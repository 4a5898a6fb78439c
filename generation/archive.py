"""Chosen pictures as one ZIP file, streamed: of no picture more than a chunk is in memory, and nothing is on a disk.

Pictures are compressed already, so they are stored as they are. The last member, `index.json`, says what each one is,
and which could not be read any more. A download holds a thread for as long as its client reads, so there are few at
the same time in one process.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import BoundedSemaphore
from typing import IO, Any, Final, cast
from uuid import UUID

import structlog

from easel.crypto import CryptoError, DataKey
from easel.database import rows
from easel.problems import Problem
from easel.storage import ObjectMissing, storage
from generation import media, sealed_images
from generation.models import Image
from generation.prompts import open_prompts
from tenants.scope import tenant_scope

MOST: Final = 500  # generations in one archive
AT_ONCE: Final = 2  # downloads of one process
_places = BoundedSemaphore(AT_ONCE)

log = structlog.get_logger(__name__)

_WHAT: Final = """
SELECT g.id, g.prompt_sealed, g.negative_prompt_sealed, m.name, g.steps, g.cfg_scale, g.sampler
FROM generation_generation g JOIN generation_model m ON m.id = g.model_id
WHERE g.tenant_id = %s AND g.id = ANY(%s) AND g.erased_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Member:
    image: Image
    told: dict[str, Any]


class Archive(Iterator[bytes]):
    """The file's chunks. Holds a place until it is closed or read to its end: close it, also when it was not read."""

    def __init__(self, members: Sequence[Member], key: DataKey) -> None:
        if not _places.acquire(blocking=False):
            raise Problem("overloaded", "Other downloads are under way. Try again.", headers={"Retry-After": "10"})
        self._chunks = _chunks(members, key)
        self._open = True

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:  # the end, or whatever broke it off
            self.close()
            raise

    def close(self) -> None:
        if self._open:
            self._open = False
            _places.release()


def members(tenant_id: UUID, generation_ids: Sequence[UUID], *, key: DataKey) -> list[Member]:
    """The released pictures of these generations, in the order asked for."""
    ids = list(dict.fromkeys(generation_ids))[:MOST]
    with tenant_scope(tenant_id):
        images = list(Image.objects.filter(generation_id__in=ids, released_at__isnull=False).order_by("index"))
        what = {row[0]: row[1:] for row in rows(_WHAT, [tenant_id, ids])}
    by_generation: dict[UUID, list[Image]] = {}
    for image in images:
        by_generation.setdefault(image.generation_id, []).append(image)
    return [
        Member(image, _told(image, what[each], key))
        for each in ids
        if each in what
        for image in by_generation.get(each, ())
    ]


def _told(image: Image, what: tuple[Any, ...], key: DataKey) -> dict[str, Any]:
    prompt_sealed, negative_sealed, model, steps, cfg_scale, sampler = what
    try:
        prompt, negative = open_prompts(prompt_sealed, negative_sealed, key=key, generation_id=image.generation_id)
    except CryptoError:
        prompt, negative = "", ""  # the pictures are wanted; the damaged row is reported where it is opened
    return {
        "file": media.filename(image), "generation": str(image.generation_id), "image": str(image.id),
        "prompt": prompt, "negative_prompt": negative, "model": model, "seed": image.seed, "steps": steps,
        "cfg_scale": cfg_scale, "sampler": sampler, "width": image.width, "height": image.height,
        "sha256": image.sha256,
    }  # fmt: skip


class _Sink:
    """What the ZIP writer writes to: keeps the bytes until they are taken, and cannot go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


def _chunks(members_: Sequence[Member], key: DataKey) -> Iterator[bytes]:
    sink, index = _Sink(), []
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as file:
        for member in members_:
            try:
                body = _contents(member.image, key)
                first = next(body, b"")  # what is missing shows before its entry is begun
                with file.open(_info(member.image), "w") as entry:
                    for chunk in chain([first], body):
                        entry.write(chunk)
                        yield sink.take()
                index.append(member.told)
            except ObjectMissing:
                log.warning("archive.missing", image=str(member.image.id))
                index.append({**member.told, "missing": True})
        file.writestr(zipfile.ZipInfo("index.json", _MOMENT), json.dumps(index, ensure_ascii=False, indent=1))
    yield sink.take()


_MOMENT: Final = (1980, 1, 1, 0, 0, 0)


def _info(image: Image) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(media.filename(image), image.created_at.timetuple()[:6])
    info.file_size = image.bytes
    return info


def _contents(image: Image, key: DataKey) -> Iterator[bytes]:
    used = None if image.key_sealed is None else sealed_images.opened(image, key)
    return sealed_images.contents(storage(), image.object_key, used)
