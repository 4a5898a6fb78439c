"""What a status read costs beside the least that could answer it: a bare DRF view that verifies the same token and runs
the same scoped SELECT by hand. Both go through the same middleware, in one process, turn by turn."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from django.db import connections
from django.test import Client, override_settings
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.table import Table, milliseconds
from easel.crypto import token_keys
from easel.embedded.stack import Stack

ROUNDS = 1500
TENANT: list[UUID] = []


class Bare(APIView):
    """Nothing of ours but the key."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, generation_id: UUID) -> Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        jwt.decode(token, token_keys().newest[1], algorithms=["HS256"], audience="urn:easel:api")
        connection = connections["default"]
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(TENANT[0])])
            cursor.execute("SELECT status FROM generation_generation WHERE id = %s", [generation_id])
            (status,) = cursor.fetchone()
            cursor.execute("COMMIT")
        return Response({"task_id": str(generation_id), "status": status, "progress": 0.0, "error": None})


urlpatterns = [path("bare/<uuid:generation_id>", Bare.as_view()), path("", include("easel.urls"))]


def measure(stack: Stack) -> Table:
    from benchmarks.customer import Customer
    from tests import tiny

    folder = tiny.build(Path(tempfile.mkdtemp(prefix="easel-bench-")))
    customer = Customer.make(stack.base_url, model_folder=folder, pool="status-read")
    TENANT[:] = [customer.tenant_id]
    generation = customer.post("/v1/generations", {"prompt": "a cat", "model": customer.model})["id"]
    customer.post(f"/v1/generations/{generation}/cancel", {})  # one that waits is told its place, too
    client = Client(headers={"Authorization": f"Bearer {customer.token}"})
    with override_settings(ROOT_URLCONF="benchmarks.status_read"):
        ours, bare = (lambda: client.get(f"/v1/generations/status/{generation}")), (
            lambda: client.get(f"/bare/{generation}")
        )  # fmt: skip
        assert bare().json()["status"] == ours().json()["status"]
        statements: list[str] = []
        with connections["default"].execute_wrapper(_noting(statements)):
            ours()
        cost = _turn_by_turn(ours, bare)
    ratio = cost[0] / cost[1]
    return Table(
        "Status read",
        f"`GET /v1/generations/status/{{id}}` against a bare view, which verifies the same token and runs one "
        f"scoped SELECT, CPU and database time per request, median of {ROUNDS} each, turn by turn. The limit we set "
        "ourselves is a ratio of 1.5 and 4 round trips.",
        ["status read", "bare view", "ratio", "round trips"],
        [[milliseconds(cost[0]), milliseconds(cost[1]), f"{ratio:.2f}", f"{len(statements)} + BEGIN + COMMIT"]],
    )


def _noting(statements: list[str]) -> Callable[..., Any]:
    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    return note


def _turn_by_turn(*calls: Callable[[], Any]) -> list[float]:
    times: list[list[float]] = [[] for _ in calls]
    for round_ in range(ROUNDS + 50):
        for call, kept in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            if round_ >= 50:  # the first ones warm up
                kept.append(time.perf_counter() - started)
    return [statistics.median(kept) for kept in times]
