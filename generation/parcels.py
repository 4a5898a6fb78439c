"""The last two steps of a finished file before it is stored: sign it, and encrypt it for tenants that ask.

In this order, and after everything else: a change after the signature breaks it, and what is encrypted cannot be
changed at all.
"""

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from easel.sealed_file import SealedFile
from generation import provenance
from generation.authority import Signatory, signatory
from generation.jobs import Job
from generation.pictures import Encoded
from generation.sealed_images import OPAQUE

REMEMBER_SECONDS: Final = 600.0  # after that a new certificate is noticed


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is put into the store, and how it was encrypted, if it was."""

    data: bytes
    content_type: str
    seal: SealedFile | None


def signed(file: Encoded, job: Job, *, index: int) -> Encoded:
    """The file with its manifest, in the platform's name or, if it asks, in the tenant's own."""
    if not settings.PROVENANCE:
        return file
    about: dict[str, Any] = {
        "generation": str(job.generation_id),
        "index": index,
        "model": job.model_name,
        "model_version": (job.model_digest or job.model_revision)[:12],
    }
    signer = _signatory(job.tenant_id if job.policy.own_certificate else None)
    data = provenance.sign(file.data, file.content_type, by=signer, about=about)
    return replace(file, data=data, sha256=hashlib.sha256(data).hexdigest())


def packed(file: Encoded, *, seal: bool) -> Parcel:
    if not seal:
        return Parcel(file.data, file.content_type, None)
    sealed = SealedFile.new(len(file.data))
    return Parcel(sealed.seal(file.data), OPAQUE, sealed)


_remembered: dict[UUID | None, tuple[float, Signatory]] = {}


def _signatory(tenant_id: UUID | None) -> Signatory:
    """Two threads that ask at once both read it: that is cheaper than a lock, and gives the same."""
    now = time.monotonic()
    found = _remembered.get(tenant_id)
    if found is None or found[0] < now:
        found = _remembered[tenant_id] = (now + REMEMBER_SECONDS, signatory(tenant_id))
    return found[1]
