"""`/progress` and `/interrupt`: of the jobs that this key began here, and of nobody else's."""

import json
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from easel import feed
from easel.valkey import CacheAway
from generation import cancel, position, progress
from generation.compat.a1111.asking import MARK
from generation.compat.views import READ, WRITE, DialectView
from generation.models import Generation
from generation.rendering import UNFINISHED
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal


class Progress(DialectView):
    """Of all jobs together; the state and the picture are of the one that began first."""

    scopes: ClassVar = {"GET": READ}

    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        jobs = _unfinished(principal)
        done = [_fraction(job) for job in jobs]
        share = sum(done) / len(done) if done else 0.0
        with_picture = request.query_params.get("skip_current_image", "false").lower() not in {"true", "1"}
        return Response({
            "progress": round(share, 4),
            "eta_relative": _eta(principal.tenant_id, jobs[0], done[0]) if jobs else 0.0,
            "state": _state(jobs, done),
            "current_image": _preview(jobs[0].id) if jobs and with_picture else None,
            "textinfo": None,
        })  # fmt: skip


class Interrupt(DialectView):
    """What is drawn stops within a step."""

    scopes: ClassVar = {"POST": WRITE}

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        own = cancel.Filter(key_id=principal.key.key_id, metadata=json.dumps(MARK))
        cancel.cancel_many(principal.tenant_id, own)
        return Response({})


def _unfinished(principal: Principal) -> list[Generation]:
    with tenant_scope(principal.tenant_id):
        found = Generation.objects.filter(
            status__in=UNFINISHED, key_id=principal.key.key_id, metadata__contains=MARK, erased_at=None
        )
        return list(found.order_by("id")[: cancel.BATCH])


def _fraction(job: Generation) -> float:
    return progress.of(job.id) or 0.0 if job.status == Generation.Status.RUNNING else 0.0


def _eta(tenant_id: UUID, job: Generation, done: float) -> float:
    with tenant_scope(tenant_id):
        return float(position.of(tenant_id, job.id, progress=done).eta_seconds or 0)


def _state(jobs: list[Generation], done: list[float]) -> dict[str, Any]:
    first = jobs[0] if jobs else None
    return {
        "skipped": False,
        "interrupted": bool(first and first.cancel_requested_at),
        "stopping_generation": bool(first and first.cancel_requested_at),
        "job": str(first.id) if first else "",
        "job_count": len(jobs),
        "job_timestamp": first.created_at.strftime("%Y%m%d%H%M%S") if first else "0",
        "job_no": 0,
        "sampling_step": int(done[0] * first.steps) if first else 0,
        "sampling_steps": first.steps if first else 0,
    }


def _preview(generation_id: UUID) -> str | None:
    """The newest one as base64, where there is any; without the cache there is none to be had."""
    try:
        newest = feed.newest(generation_id, "preview")
    except CacheAway:
        return None
    return str(newest.data["image"]) if newest is not None else None
