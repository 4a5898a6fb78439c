"""Giving a token back before it expires (RFC 7009). A key's look-up brings what was given back, so that every process
knows within `keys.REMEMBER_SECONDS`, and a verification costs no query of its own."""

from datetime import UTC, datetime
from typing import Final

from easel.database import changed, rows
from easel.identifiers import new_id
from tenants import keys, tokens
from tenants.keys import KeyRecord
from tenants.scope import tenant_scope
from tenants.tokens import TokenRefused

# A look-up must stay cheap: with so many given back at once, all that the key was issued before now are void.
MOST_AT_ONCE: Final = 500

_GIVE_BACK: Final = """
INSERT INTO tenants_revokedtoken (id, tenant_id, key_id, digest, expires_at) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, key_id, digest) DO NOTHING
"""
_LIVE: Final = "SELECT count(*) FROM tenants_revokedtoken WHERE tenant_id = %s AND key_id = %s AND expires_at > now()"


def give_back(token: str, key: KeyRecord) -> bool:
    """Void this token if it is a live one of this key."""
    try:
        principal, expires = tokens.inspect(token)
    except TokenRefused:
        return False  # already void, or never a token: RFC 7009, section 2.2, asks for no error
    if principal.public_id != key.public_id:
        return False
    void_until = datetime.fromtimestamp(expires + tokens.LEEWAY, UTC)
    with tenant_scope(key.tenant_id):
        changed(_GIVE_BACK, [new_id(), key.tenant_id, key.key_id, tokens.digest(token), void_until])
        ((live,),) = rows(_LIVE, [key.tenant_id, key.key_id])
        if live > MOST_AT_ONCE:
            void_all(key)
    keys.forget(key.public_id)
    return True


def void_all(key: KeyRecord) -> None:
    """Every token that was issued to this key until now. Needs the tenant's scope."""
    owner = [key.tenant_id, key.key_id]
    changed("UPDATE tenants_apikey SET tokens_not_before = now() WHERE tenant_id = %s AND id = %s", owner)
