"""A self-signed token that carries a `jti` is good once (RFC 7519, section 4.1.7, as RFC 7523 uses it).

What was used is kept until the token would have expired anyway, in Postgres: a cache that forgets would let it in
again.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

from easel.clock import duty
from easel.database import changed
from easel.identifiers import new_id
from tenants.keys import KeyRecord
from tenants.scope import tenant_scope

_SPEND: Final = """
INSERT INTO tenants_spenttoken (id, tenant_id, digest, expires_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (tenant_id, digest) DO NOTHING
"""


def spend(key: KeyRecord, jti: str, *, good_until: float) -> bool:
    """Use a token up. False if it was used before, whichever process saw it. `good_until` is in Unix seconds."""
    digest = hashlib.sha256(key.key_id.bytes + jti.encode("utf-8", "surrogatepass")).digest()
    with tenant_scope(key.tenant_id):
        expires_at = datetime.fromtimestamp(good_until, UTC)
        return changed(_SPEND, [new_id(), key.tenant_id, digest, expires_at]) == 1


@duty("forget_spent_tokens", every=600.0)
def forget_spent_tokens() -> int:
    return changed("DELETE FROM tenants_spenttoken WHERE expires_at < now()") + changed(
        "DELETE FROM tenants_revokedtoken WHERE expires_at < now()"
    )
