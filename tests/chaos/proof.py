"""After the storm: is everything there, once? Each check returns what is wrong, as text."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Final
from uuid import UUID

import boto3
from botocore.config import Config
from django.conf import settings

from billing import reconciliation
from easel import clock
from easel.database import changed, platform_role, rows
from easel.storage import ObjectMissing, storage
from tests.chaos.load import Outcome
from tests.moderation import grays

UNFINISHED: Final = {"queued", "running"}


def unfinished(tenants: list[UUID]) -> int:
    with platform_role():
        ((count,),) = rows(
            "SELECT count(*) FROM generation_generation WHERE tenant_id = ANY(%s) "
            "AND (status IN ('queued', 'running') OR unscreened)",
            [tenants],
        )
    return int(count)


def endings(tenants: list[UUID]) -> Counter[str]:
    with platform_role():
        found = rows(
            "SELECT status || CASE WHEN error_code = '' THEN '' ELSE ': ' || error_code END "
            "FROM generation_generation WHERE tenant_id = ANY(%s)",
            [tenants],
        )
    return Counter(status for (status,) in found)


def attempts(tenants: list[UUID]) -> Counter[int]:
    with platform_role():
        found = rows("SELECT attempts FROM generation_generation WHERE tenant_id = ANY(%s)", [tenants])
    return Counter(count for (count,) in found)


def lost(outcome: Outcome, tenants: list[UUID]) -> list[str]:
    """Accepted and not there, or there and never accepted, or drawn by two rows."""
    with platform_role():
        found = {
            str(each) for (each,) in rows("SELECT id FROM generation_generation WHERE tenant_id = ANY(%s)", [tenants])
        }
    accepted = set(outcome.accepted.values())
    wrong = [f"accepted and gone: {each}" for each in accepted - found]
    wrong += [f"made for nobody: {each}" for each in found - accepted]
    wrong += [f"never accepted: {key}" for key in outcome.gave_up]
    return wrong + [f"two for one key: {each}" for each in outcome.contradictions]


def left_unfinished(tenants: list[UUID]) -> list[str]:
    with platform_role():
        found = rows(
            "SELECT id, status, attempts FROM generation_generation WHERE tenant_id = ANY(%s) "
            "AND (status IN ('queued', 'running') OR unscreened)",
            [tenants],
        )
        flows = rows("SELECT tenant_id, queued, running FROM generation_flow WHERE tenant_id = ANY(%s) "
                     "AND (queued <> 0 OR running <> 0)", [tenants])  # fmt: skip
    return [f"unfinished: {row}" for row in found] + [f"flow: {row}" for row in flows]


def charged_wrongly(tenants: list[UUID]) -> list[str]:
    """Twice, or otherwise than the row says once refunds are counted, or for what has no picture."""
    with platform_role():
        twice = rows(
            "SELECT owner_id, count(*) FROM billing_entry WHERE tenant_id = ANY(%s) AND kind = 'charge' "
            "GROUP BY owner_id HAVING count(*) > 1",
            [tenants],
        )
        other = rows(
            "SELECT g.id, g.status, g.credits, coalesce(e.charged, 0) FROM generation_generation g LEFT JOIN ("
            "  SELECT owner_id, -sum(available_delta + held_delta) AS charged FROM billing_entry "
            "  WHERE tenant_id = ANY(%s) AND kind IN ('charge', 'refund') GROUP BY owner_id) e ON e.owner_id = g.id "
            "WHERE g.tenant_id = ANY(%s) AND (coalesce(g.credits, 0) <> coalesce(e.charged, 0) "
            "  OR (g.status IN ('failed', 'rejected') AND coalesce(e.charged, 0) <> 0))",
            [tenants, tenants],
        )
    return [f"charged twice: {row}" for row in twice] + [f"charged otherwise: {row}" for row in other]


def books_wrong() -> list[str]:
    with platform_role():
        found = reconciliation.run()
    return [f"{check}: {difference}" for check, differences in found.items() for difference in differences]


def pictures_wrong(tenants: list[UUID]) -> list[str]:
    """A completed generation, and one that waits for staff, has all its pictures but those that moderation blocks, each
    in storage, whole."""
    with platform_role():
        short = rows(
            "SELECT g.id, g.n, count(i.id) FROM generation_generation g LEFT JOIN generation_image i "
            "ON i.generation_id = g.id AND i.rejected_at IS NULL "
            "WHERE g.tenant_id = ANY(%(tenants)s) AND g.status IN ('completed', 'in_review') AND g.erased_at IS NULL "
            "GROUP BY g.id, g.n, g.seed HAVING count(i.id) <> "
            "(SELECT count(*) FROM generate_series(g.seed, g.seed + g.n - 1) each WHERE each %% 256 >= %(blocked)s)",
            {"tenants": tenants, "blocked": grays.BLOCKED},
        )
        images = rows("SELECT object_key, sha256 FROM generation_image WHERE tenant_id = ANY(%s)", [tenants])
    return [f"pictures missing: {row}" for row in short] + list(_damaged(images))


def shown_wrongly(tenants: list[UUID]) -> list[str]:
    """The stub paints a seed's gray, and the scorer finds fault with dark ones: none of them was released, whatever
    became of the screening process. What only waits for staff has its case."""
    with platform_role():
        released = rows(
            "SELECT i.id, i.seed %% 256 FROM generation_image i JOIN generation_generation g ON g.id = i.generation_id "
            "WHERE i.tenant_id = ANY(%s) AND i.released_at IS NOT NULL AND i.seed %% 256 < %s",
            [tenants, grays.HELD],
        )
        forgotten = rows(
            "SELECT i.id, i.seed %% 256 FROM generation_image i JOIN generation_generation g ON g.id = i.generation_id "
            "WHERE i.tenant_id = ANY(%s) AND i.released_at IS NULL AND i.rejected_at IS NULL AND NOT EXISTS ("
            "SELECT 1 FROM moderation_case c WHERE c.generation_id = g.id AND c.image_index = i.index)",
            [tenants],
        )
    return [f"shown: {row}" for row in released] + [f"held without a case: {row}" for row in forgotten]


def objects_left_over(tenants: list[UUID]) -> list[str]:
    """What lies in the store and no row knows, after the clock's duty has been where it will be in an hour."""
    with platform_role():
        changed("UPDATE generation_objectintent SET created_at = created_at - interval '1 day'")
    while clock.perform("remove_leftover_objects"):
        pass
    with platform_role():
        known = {key for (key,) in rows("SELECT object_key FROM generation_image WHERE tenant_id = ANY(%s)", [tenants])}
        waiting = rows("SELECT object_key FROM generation_doomedobject WHERE tenant_id = ANY(%s)", [tenants])
    there = {key for tenant in tenants for key in _listed(f"t/{tenant}/g/")}
    return [f"nobody's object: {key}" for key in there - known] + [f"still doomed: {key}" for (key,) in waiting]


def erased_wrongly(outcome: Outcome) -> list[str]:
    with platform_role():
        found = rows(
            "SELECT id FROM generation_generation g WHERE id = ANY(%s::uuid[]) AND (erased_at IS NULL "
            "OR length(prompt_sealed) > 0 OR EXISTS (SELECT 1 FROM generation_image i WHERE i.generation_id = g.id))",
            [list(outcome.deleted)],
        )
    return [f"not erased: {each}" for (each,) in found]


def _damaged(images: list[tuple[str, str]]) -> Iterator[str]:
    for key, sha256 in images:
        try:
            if hashlib.sha256(storage().get(key)).hexdigest() != sha256:
                yield f"damaged: {key}"
        except ObjectMissing:
            yield f"not in storage: {key}"


def _listed(prefix: str) -> Iterator[str]:
    s3 = settings.S3
    client = boto3.client(
        "s3", endpoint_url=s3["endpoint"], region_name=s3["region"], aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"], config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=s3["bucket"], Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", []))
