"""Earlier results that answer equal requests: which generation drew these pixels for this tenant already.

Three levels: this process's memory, Valkey, and the table in Postgres, whose pictures are in object storage. The first
two know ids only, for CACHE_SECONDS, and are believed by nobody: the statement that hands the pictures over
(`copies.answer`) looks again whether the entry stands and its images are released. So whatever makes an entry invalid
(a new model revision, a moderator's decision, erasure, retention) holds at once, in every process, and a forgotten
note costs one look-up. A tenant never sees another's: the fingerprint is made with its key, and kept in its rows.
"""

from collections import OrderedDict
from collections.abc import Collection
from functools import partial
from threading import Lock
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from easel import metrics
from easel.database import changed, on_commit, rows
from easel.identifiers import new_id
from easel.valkey import CacheAway, Patience, client

CACHE_SECONDS: Final = 30
REMEMBER_AT_MOST: Final = 10_000  # entries of some 200 bytes
_NOTE: Final = "easel:result:{tenant}:{fingerprint}"

log = structlog.get_logger(__name__)

_FIND: Final = """
SELECT generation_id FROM generation_cachedresult
WHERE tenant_id = %(tenant)s AND {column} = %(fingerprint)s AND model_version = %(version)s
ORDER BY created_at DESC LIMIT 1
"""

_RECORD: Final = """
INSERT INTO generation_cachedresult (id, tenant_id, fingerprint, seedless, generation_id, model_id, model_version)
SELECT %(id)s, tenant_id, fingerprint, seedless, id, model_id, model_version FROM generation_generation
WHERE tenant_id = %(tenant)s AND id = %(generation)s AND fingerprint IS NOT NULL AND seedless IS NOT NULL
    AND erased_at IS NULL
ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET
    generation_id = EXCLUDED.generation_id, model_version = EXCLUDED.model_version, created_at = now()
"""


class Memory:
    """The first level: ids by fingerprint, the least recently used leaves, and none stays longer than CACHE_SECONDS."""

    def __init__(self, *, at_most: int = REMEMBER_AT_MOST, seconds: float = CACHE_SECONDS) -> None:
        self._at_most, self._seconds = at_most, seconds
        self._known: OrderedDict[tuple[UUID, bytes], tuple[UUID, float]] = OrderedDict()
        self._lock = Lock()

    def get(self, tenant_id: UUID, fingerprint: bytes) -> UUID | None:
        with self._lock:
            generation_id, until = self._known.get((tenant_id, fingerprint), (None, 0.0))
            if generation_id is None or until <= monotonic():
                self._known.pop((tenant_id, fingerprint), None)
                return None
            self._known.move_to_end((tenant_id, fingerprint))
            return generation_id

    def put(self, tenant_id: UUID, fingerprint: bytes, generation_id: UUID) -> None:
        with self._lock:
            self._known[tenant_id, fingerprint] = generation_id, monotonic() + self._seconds
            self._known.move_to_end((tenant_id, fingerprint))
            while len(self._known) > self._at_most:
                self._known.popitem(last=False)

    def drop(self, tenant_id: UUID, fingerprint: bytes) -> None:
        with self._lock:
            self._known.pop((tenant_id, fingerprint), None)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


_memory = Memory()
_patience = Patience()


def recall(tenant_id: UUID, fingerprint: bytes, *, model_version: str, seedless: bool = False) -> UUID | None:
    """The generation whose pictures answer an equal request; with `seedless`, the newest one of any seed. Needs the
    tenant's scope. Its pictures may have gone since: whoever hands them over looks."""
    for level, look in _LEVELS:
        found = look(tenant_id, fingerprint, model_version, seedless)
        metrics.CACHE_LOOKUPS.labels(level, "hit" if found else "miss").inc()
        if found:
            if level != "memory":  # a note does not live longer by being read
                _note(tenant_id, fingerprint, found, everywhere=level == "store")
            return found
    return None


def look_in_store(tenant_id: UUID, fingerprint: bytes, *, model_version: str, seedless: bool = False) -> UUID | None:
    """What Postgres says now, whatever the levels above remember."""
    return _in_store(tenant_id, fingerprint, model_version, seedless)


def record(tenant_id: UUID, generation_id: UUID) -> None:
    """From now on this completed generation answers equal requests. Needs the platform role or the tenant's scope."""
    changed(_RECORD, {"id": new_id(), "tenant": tenant_id, "generation": generation_id})


def drop_note(tenant_id: UUID, fingerprint: bytes) -> None:
    """What the two upper levels say of it is no longer true."""
    _memory.drop(tenant_id, fingerprint)
    _unnote(tenant_id, [fingerprint])


def forget(tenant_id: UUID, generation_ids: Collection[UUID]) -> int:
    """These answer nobody any more: taken down, decided against, erased, past their retention. In the caller's
    transaction, which may be the platform's or the tenant's. Returns how many entries there were."""
    gone = rows(
        "DELETE FROM generation_cachedresult WHERE tenant_id = %s AND generation_id = ANY(%s) "
        "RETURNING fingerprint, seedless",
        [tenant_id, list(generation_ids)],
    )
    _forget_notes(tenant_id, gone)
    return len(gone)


def forget_tenant(tenant_id: UUID) -> int:
    """All of a tenant's: it is erased, or its policy became stricter."""
    gone = rows("DELETE FROM generation_cachedresult WHERE tenant_id = %s RETURNING fingerprint, seedless", [tenant_id])
    _forget_notes(tenant_id, gone)
    return len(gone)


def forget_model(model_id: UUID) -> int:
    """All that a model drew: its files are others now, or it was retired. Needs the platform role. Notes are left to
    lapse: they name a revision that nobody asks for any more."""
    return changed("DELETE FROM generation_cachedresult WHERE model_id = %s", [model_id])


def _forget_notes(tenant_id: UUID, gone: Collection[tuple[memoryview, memoryview]]) -> None:
    fingerprints = [bytes(each) for pair in gone for each in pair]
    for each in fingerprints:
        _memory.drop(tenant_id, each)
    if fingerprints:
        on_commit(lambda: _unnote(tenant_id, fingerprints))


# --- The levels, each asked when the one before does not know -----------------------------------------------


def _in_memory(tenant_id: UUID, fingerprint: bytes, model_version: str, seedless: bool) -> UUID | None:
    return _memory.get(tenant_id, fingerprint)


def _in_valkey(tenant_id: UUID, fingerprint: bytes, model_version: str, seedless: bool) -> UUID | None:
    try:
        found = _patience.call(client().get, _key(tenant_id, fingerprint))
    except CacheAway:
        return None
    return UUID(bytes=bytes(found)) if found else None


def _in_store(tenant_id: UUID, fingerprint: bytes, model_version: str, seedless: bool) -> UUID | None:
    sql = _FIND.format(column="seedless" if seedless else "fingerprint")
    found = rows(sql, {"tenant": tenant_id, "fingerprint": fingerprint, "version": model_version})
    return found[0][0] if found else None


_LEVELS: Final = (("memory", _in_memory), ("valkey", _in_valkey), ("store", _in_store))


def _note(tenant_id: UUID, fingerprint: bytes, generation_id: UUID, *, everywhere: bool) -> None:
    _memory.put(tenant_id, fingerprint, generation_id)
    if everywhere:
        try:
            _patience.call(partial(client().set, ex=CACHE_SECONDS), _key(tenant_id, fingerprint), generation_id.bytes)
        except CacheAway as error:
            log.debug("cache.unnoted", error=str(error))


def _unnote(tenant_id: UUID, fingerprints: Collection[bytes]) -> None:
    try:
        _patience.call(client().delete, *[_key(tenant_id, each) for each in fingerprints])
    except CacheAway as error:
        log.debug("cache.unnoted", error=str(error))


def _key(tenant_id: UUID, fingerprint: bytes) -> str:
    return _NOTE.format(tenant=tenant_id.hex, fingerprint=fingerprint.hex())
