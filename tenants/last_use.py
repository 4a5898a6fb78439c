"""When a key was last used, to the minute: one write per key, process and minute, whatever the traffic."""

import time
from threading import Lock
from typing import Final

from easel.database import changed
from tenants.keys import KeyRecord
from tenants.scope import tenant_scope

MINUTE: Final = 60.0
REMEMBER_AT_MOST: Final = 10_000

_NOTE: Final = """
UPDATE tenants_apikey SET last_used_at = now()
WHERE tenant_id = %s AND id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '60 seconds')
"""


def note(key: KeyRecord) -> None:
    now = time.monotonic()
    if _noted.get(key.public_id, 0.0) > now:
        return
    with _lock:
        if len(_noted) >= REMEMBER_AT_MOST:
            _noted.clear()
        _noted[key.public_id] = now + MINUTE
    with tenant_scope(key.tenant_id):
        changed(_NOTE, [key.tenant_id, key.key_id])


def forget_all() -> None:
    """Drop this process's memory of what it noted."""
    with _lock:
        _noted.clear()


_noted: dict[str, float] = {}
_lock = Lock()
