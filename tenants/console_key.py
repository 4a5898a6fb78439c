"""Whom the console's own requests count under: a key of the workspace that nobody holds the secret of.

So what people draw in the console passes through the same door as what programs ask for: quotas, spend caps, usage by
key, stream tickets. It is limited, and not revoked or rotated (`tenants.key_changes`): its successor would begin with
no cap.
"""

from typing import Final

from django.db import IntegrityError

from easel.problems import Problem
from tenants import audit, keys
from tenants.audit import current_actor
from tenants.console import Visitor
from tenants.models import APIKey
from tenants.scope import tenant_scope
from tenants.tokens import Principal

NAME: Final = "Console"
SCOPES: Final = ("generations:read", "generations:write")


def principal_for(visitor: Visitor) -> Principal:
    """The visitor as a principal: may write only where their role may make pictures. Raises Problem tenant_suspended
    where the workspace is frozen."""
    record = keys.find(_public_id(visitor))
    if record is None or record.tenant_frozen_at is not None:
        raise Problem("tenant_suspended", "This workspace is suspended.")
    granted = record.scopes if "pictures.make" in visitor.permissions else frozenset({"generations:read"})
    return Principal(visitor.tenant_id, record, granted)


def _public_id(visitor: Visitor) -> str:
    try:
        with tenant_scope(visitor.tenant_id):
            found = APIKey.objects.filter(is_console=True, revoked_at=None).values_list("public_id", flat=True).first()
            if found is not None:
                return str(found)
            key, _secret = keys.mint(visitor.tenant, name=NAME, scopes=SCOPES)
            APIKey.objects.filter(id=key.id).update(is_console=True)
            audit.record(
                "key.created",
                tenant_id=visitor.tenant_id,
                object_kind="key",
                object_id=key.public_id,
                details={"name": NAME, "scopes": list(SCOPES)},
                actor=current_actor(),
            )
            return key.public_id
    except IntegrityError:  # two pages at once: the other one made it
        return _public_id(visitor)
