"""The platform's main figures, for staff: read when somebody looks, under the platform role. Every statement is bounded
by an index or by a small table; what only the cache knows is said to be unknown where the cache is away."""

import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from easel import health
from easel.breaker import Standing, standing
from easel.database import rows
from easel.valkey import CacheAway
from generation import figures, rounds_seen
from generation.availability import PREFIX
from generation.models import Model

log = structlog.get_logger(__name__)

WORKER_SECONDS: Final = 15.0  # a worker signs every three

_TODAY: Final = """
SELECT status, count(*) FROM generation_generation WHERE id >= %s GROUP BY status ORDER BY count(*) DESC
"""
_PLATFORM: Final = """
SELECT (SELECT count(*) FROM tenants_tenant), (SELECT count(*) FROM tenants_tenant WHERE frozen_at IS NOT NULL),
    (SELECT coalesce(sum(charged - refunded), 0)::bigint FROM billing_usage WHERE day = %(day)s),
    (SELECT coalesce(sum(images), 0)::bigint FROM billing_usage WHERE day = %(day)s),
    (SELECT count(*) FROM billing_planrequest WHERE outcome = 'open'),
    (SELECT count(*) FROM moderation_case WHERE status = 'open' AND kind <> 'second'),
    (SELECT extract(epoch FROM now() - min(created_at))::float FROM moderation_case
        WHERE status = 'open' AND kind <> 'second'),
    (SELECT count(*) FROM tenants_webhookdelivery WHERE state = 'pending'),
    (SELECT count(*) FROM tenants_webhookendpoint WHERE failing_since IS NOT NULL AND disabled_at IS NULL),
    (SELECT pg_database_size(current_database()))
"""
_POOLS: Final = """
SELECT pool.id, pool.name, coalesce(sum(flow.queued), 0)::bigint, coalesce(sum(flow.running), 0)::bigint,
    count(flow.id) FILTER (WHERE flow.queued > 0), pool.work_per_second,
    coalesce(sum(flow.waiting_work), 0) / nullif(pool.work_per_second, 0)
FROM generation_pool pool LEFT JOIN generation_flow flow ON flow.pool_id = pool.id GROUP BY pool.id ORDER BY pool.name
"""


def platform() -> dict[str, Any]:
    """Tenants, today's requests and credits, and what waits for staff."""
    today = datetime.now(UTC).date()
    names = ("tenants", "frozen", "credits", "images", "plan_requests", "cases", "oldest_case", "deliveries",
             "failing_endpoints", "database_bytes")  # fmt: skip
    ((*values,),) = rows(_PLATFORM, {"day": today})
    statuses = rows(_TODAY, [figures.first_id(today)])
    return {**dict(zip(names, values, strict=True)), "statuses": statuses, "requests": sum(n for _, n in statuses)}


def pools() -> list[dict[str, Any]]:
    names = ("id", "name", "queued", "running", "tenants", "speed", "wait")
    return [dict(zip(names, row, strict=True)) for row in rows(_POOLS)]


def workers() -> list[dict[str, Any]] | None:
    """Who signed lately, and what they hold. None: the cache is away."""
    try:
        found = rounds_seen.seen(seconds=WORKER_SECONDS)
    except (RedisError, OSError) as error:
        log.warning("platform_figures.workers_unknown", error=str(error))
        return None
    now = time.time()
    return [
        {**note, "name": name, "up": now - note.get("since", now), "silent": now - note["at"]}
        for name, note in found.items()
    ]


def breakers() -> list[tuple[str, Standing]] | None:
    """Every breaker that is open, with the name of the model it guards. None: the cache is away."""
    try:
        found = standing()
    except CacheAway as error:
        log.warning("platform_figures.breakers_unknown", error=str(error))
        return None
    ids = [UUID(each.name.removeprefix(PREFIX)) for each in found if each.name.startswith(PREFIX)]
    names = {str(id_): name for id_, name in Model.objects.filter(id__in=ids).values_list("id", "name")}
    return [(names.get(each.name.removeprefix(PREFIX), ""), each) for each in found]


def services() -> list[tuple[str, bool]]:
    """What this process stands on, and whether it answers."""
    failing = health.failing()
    return [(name, name not in failing) for name in health.CHECKS]
