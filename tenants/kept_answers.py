"""Answers with secrets, kept for whoever sends the same request again under its `Idempotency-Key`.

A secret is shown once, and the answer that shows it may get lost on the way. It is kept for ten minutes, sealed under
the tenant's key, in the transaction that made what it tells of; for a day it is known that the key was used. An answer
that was an error is not kept.
"""

import json
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from easel.clock import duty
from easel.crypto import open_sealed, seal
from easel.database import changed, rows
from easel.idempotency import IdempotencyKey
from easel.identifiers import new_id
from easel.problems import Problem
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal

KEPT_MINUTES: Final = 10
KNOWN_HOURS: Final = 24
NO_STORE: Final = {"Cache-Control": "no-store"}
CONTEXT: Final = b"tenants.keptanswer:"

# ON CONFLICT waits for a parallel twin to commit or roll back, so that exactly one of them makes the object.
_CLAIM: Final = """
INSERT INTO tenants_keptanswer (id, tenant_id, key, digest, status) VALUES (%s, %s, %s, %s, 0)
ON CONFLICT (tenant_id, key) DO NOTHING
"""
_KEEP: Final = "UPDATE tenants_keptanswer SET status = %s, answer_sealed = %s WHERE tenant_id = %s AND id = %s"
_FIND: Final = """
SELECT id, digest, status, CASE WHEN created_at > now() - make_interval(mins => %s) THEN answer_sealed END
FROM tenants_keptanswer WHERE tenant_id = %s AND key = %s
"""


def once(request: Request, make: Callable[[], Response]) -> Response:
    """What `make` answers; for a key that it was made under before, the same answer again. What `make` changes is
    committed together with the answer, or not at all."""
    principal = principal_of(request)
    key = _key(request, principal)
    if key is None:
        return make()
    with tenant_scope(principal.tenant_id):
        record_id = new_id()
        if changed(_CLAIM, [record_id, principal.tenant_id, key.value, key.digest]) == 0:
            return _again(key, principal)
        response = make()
        _keep(record_id, response, principal)
    return response


def _key(request: Request, principal: Principal) -> IdempotencyKey | None:
    """Bound to the API key that asks, too: a secret is shown again to nobody else."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    path = f"{principal.key.public_id} {request.path}"
    return IdempotencyKey.read(header, method=str(request.method), path=path, body=request.data, key=principal.data_key)


def _keep(record_id: UUID, response: Response, principal: Principal) -> None:
    data: Any = response.data
    sealed = seal(json.dumps(data).encode(), key=principal.data_key, context=CONTEXT + record_id.bytes)
    changed(_KEEP, [response.status_code, sealed, principal.tenant_id, record_id])


def _again(key: IdempotencyKey, principal: Principal) -> Response:
    ((record_id, digest, status, sealed),) = rows(_FIND, [KEPT_MINUTES, principal.tenant_id, key.value])
    key.check(digest)
    if sealed is None:
        said = f"This was done more than {KEPT_MINUTES} minutes ago; its secret cannot be shown again."
        raise Problem("idempotency_conflict", said)
    answer = json.loads(open_sealed(sealed, key=principal.data_key, context=CONTEXT + record_id.bytes))
    return Response(answer, status=status, headers={**NO_STORE, "Idempotent-Replayed": "true"})


@duty("forget_kept_answers", every=60.0)
def forget_kept_answers() -> int:
    forgotten = changed(
        "UPDATE tenants_keptanswer SET answer_sealed = NULL "
        "WHERE answer_sealed IS NOT NULL AND created_at < now() - make_interval(mins => %s)",
        [KEPT_MINUTES],
    )
    return forgotten + changed(
        "DELETE FROM tenants_keptanswer WHERE created_at < now() - make_interval(hours => %s)", [KNOWN_HOURS]
    )
