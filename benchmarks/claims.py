"""Claims in a large queue: 1,000,000 waiting rows of 10,000 tenants against 1,000 of 10, after tens of thousands of
claims and endings without a vacuum, while a snapshot is held open and nine tenants of ten are at their cap."""

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.table import Table, milliseconds
from easel.embedded.stack import Stack

LARGE = int(os.environ.get("EASEL_CLAIMS_ROWS", "1000000"))
TENANTS = int(os.environ.get("EASEL_CLAIMS_TENANTS", "10000"))
CHURN = int(os.environ.get("EASEL_CLAIMS_CHURN", "50000"))
SAMPLES = int(os.environ.get("EASEL_CLAIMS_SAMPLES", "3000"))
CLAIMERS = 8
SMALL_QUEUES = 4  # one after the other, as one gives too few samples for its slowest hundredth
TABLES = ("generation_generation", "generation_flow", "generation_pool", "generation_pooltime", "billing_hold",
          "billing_wallet", "billing_entry", "billing_lot", "billing_pin", "billing_usage")  # fmt: skip


@dataclass(frozen=True)
class Found:
    seconds: list[float]  # of single claims
    rate: float  # claims a second, of all claimers
    empty: int
    double: int

    def quantile(self, share: float) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * share)]


def measure(stack: Stack) -> Table:
    from django.db import connections

    with stack.postgres.superuser("easel") as superuser:
        for table in TABLES:
            superuser.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        small = _together([
            _measured(superuser, f"claims-small-{number}", rows=1000, tenants=10, at_cap=0, churn=200, samples=700)
            for number in range(SMALL_QUEUES)
        ])  # fmt: skip
        large = _measured(
            superuser, "claims-large", rows=LARGE, tenants=TENANTS, at_cap=0.9, churn=CHURN, samples=SAMPLES
        )
        for table in TABLES:
            superuser.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
    connections.close_all()
    return Table(
        "Claims in a large queue",
        f"The small queue has 1,000 waiting rows of 10 tenants, the large one {LARGE:,} of {TENANTS:,}, nine tenants "
        f"of ten at their cap; {SMALL_QUEUES} small ones make up for their length. "
        f"First {CLAIMERS} claimers at once take and end 200 and {CHURN:,} jobs, without a vacuum "
        "and with a snapshot held open; then single claims are timed, each followed by an ending.",
        ["queue", "p50", "p99", "8 claimers: claims/s", "empty", "double"],
        [_row("1,000 rows", small), _row(f"{LARGE:,} rows", large),
         ["ratio", f"{large.quantile(0.5) / small.quantile(0.5):.2f}",
          f"{large.quantile(0.99) / small.quantile(0.99):.2f}", f"{large.rate / small.rate:.2f}", "", ""]],
    )  # fmt: skip


def _measured(superuser: Any, pool: str, *, rows: int, tenants: int, at_cap: float, churn: int, samples: int) -> Found:
    from generation.source import PostgresSource

    source = PostgresSource()
    _fill(superuser, pool, rows=rows, tenants=tenants, at_cap=at_cap)
    superuser.execute("ANALYZE")
    superuser.execute("CHECKPOINT")  # what filling it left to write is no part of a claim
    with _held_snapshot(superuser):
        rate, empty, double = _churn(pool, claims=churn)
        seconds = []
        for _ in range(samples):
            begun = time.perf_counter()
            (job,) = source.claim(pool, limit=1)
            seconds.append(time.perf_counter() - begun)
            _end(source, job)
        _tell_plans(superuser, pool)
    return Found(seconds, rate, empty, double)


def _together(queues: list[Found]) -> Found:
    return Found(
        seconds=[each for queue in queues for each in queue.seconds],
        rate=statistics.mean(queue.rate for queue in queues),
        empty=sum(queue.empty for queue in queues),
        double=sum(queue.double for queue in queues),
    )


def _tell_plans(superuser: Any, pool: str) -> None:
    """How the two searches of a claim are done in this queue, on stderr."""
    from generation import source, turns

    (tenant_id, pool_id) = superuser.execute(
        "SELECT f.tenant_id, f.pool_id FROM generation_flow f JOIN generation_pool p ON p.id = f.pool_id "
        "WHERE p.name = %s AND f.ready ORDER BY f.vtime DESC LIMIT 1",
        [pool],
    ).fetchone()
    next_job = source._LEASE_NEXT.partition("WHERE g.id = (")[2].partition(") AND m.id")[0]
    parameters = {"pool": pool_id, "tenant": tenant_id, "shut": [], "probes": []}
    for name, sql, given in (
        ("whose turn it is", turns._LOWEST, {"pool": pool, "passed": []}),
        ("the tenant's next job", next_job.replace("FOR NO KEY UPDATE SKIP LOCKED", ""), parameters),
    ):
        print(f"\n{pool}: {name}", file=sys.stderr)
        for (line,) in superuser.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {sql}", given):
            print(f"    {line}", file=sys.stderr)


def _churn(pool: str, *, claims: int) -> tuple[float, int, int]:
    """Claims a second, empty ones and double ones. Eight claimers, as many workers would be: nobody may go
    empty-handed, nothing may be claimed twice."""
    from django.db import connections

    from generation.source import PostgresSource

    source, claimed, empty = PostgresSource(), [], [0]
    lock = threading.Lock()

    def work(share: int) -> None:
        for _ in range(share):
            jobs = source.claim(pool, limit=1)
            with lock:
                claimed.extend(job.generation_id for job in jobs)
                empty[0] += not jobs
            for job in jobs:
                _end(source, job)
        connections.close_all()

    begun = time.perf_counter()
    with ThreadPoolExecutor(CLAIMERS) as threads:
        list(threads.map(work, [claims // CLAIMERS] * CLAIMERS))
    rate = claims / (time.perf_counter() - begun)
    return rate, empty[0], len(claimed) - len(set(claimed))


def _end(source: Any, job: Any) -> None:
    """Drawn to its end and paid for, but without a picture: the store is no part of this."""
    assert source.cancel(job, [], begun=[job.planned_steps])


@contextmanager
def _held_snapshot(superuser: Any) -> Iterator[None]:
    """A reader that keeps every dead version alive, as a backup or a long report does."""
    import psycopg

    with psycopg.connect(superuser.info.dsn, password=superuser.info.password, autocommit=False) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM generation_pool")
        yield
        reader.rollback()


def _fill(superuser: Any, pool: str, *, rows: int, tenants: int, at_cap: float) -> None:
    """By SQL, as submissions would have left it: one is really made, and copied under other ids. Of the tenants at
    their cap nothing is claimed, so that their rows need no hold."""
    from easel.database import platform_role
    from generation.models import Generation
    from generation.registry import register
    from tests.cast import make_customer

    with platform_role():
        register(pool, "nowhere", pool=pool, title=pool)
    pattern = make_customer(pool)
    body = {"prompt": "a cat", "model": pool, "steps": 10, "width": 256, "height": 256}
    answer = pattern.client().post("/v1/generations", body, format="json")
    assert answer.status_code == 202, answer.content
    parameters = {
        "tenant": pattern.id,
        "tenants": tenants,
        "each": rows // tenants,
        "open": round(tenants * (1 - at_cap)),
    }
    superuser.execute("SET session_replication_role = replica")  # no triggers: the copies are right by themselves
    for statement in _COPY:
        superuser.execute(statement, parameters)
    superuser.execute("SET session_replication_role = origin")
    with platform_role():
        assert Generation.objects.filter(pool__name=pool, status="queued").count() == rows // tenants * tenants


_COPY = (
    "DROP TABLE IF EXISTS bench_tenant, bench_job",
    "CREATE TEMP TABLE bench_tenant AS SELECT uuidv7() AS id, uuidv7() AS lot, n "
    "FROM generate_series(1, %(tenants)s) n",
    "CREATE TEMP TABLE bench_job AS SELECT uuidv7() AS id, uuidv7() AS hold, b.id AS tenant, b.lot, b.n "
    "FROM generate_series(1, %(each)s), bench_tenant b",
    "INSERT INTO tenants_tenant SELECT r.* FROM bench_tenant b, tenants_tenant t, LATERAL jsonb_populate_record(t, "
    "jsonb_build_object('id', b.id, 'slug', b.id)) r WHERE t.id = %(tenant)s",
    "INSERT INTO generation_generation SELECT r.* FROM bench_job b, generation_generation g, LATERAL "
    "jsonb_populate_record(g, jsonb_build_object('id', b.id, 'tenant_id', b.tenant, 'key_id', NULL, "
    "'prompt_sealed', '\\x', 'negative_prompt_sealed', '\\x')) r WHERE g.tenant_id = %(tenant)s",
    # `ready` is computed, so the columns are named.
    "INSERT INTO generation_flow (id, tenant_id, pool_id, vtime, weight, queued, running, cap, owed, waiting_work, "
    "served_work) SELECT uuidv7(), b.id, f.pool_id, f.vtime, f.weight, %(each)s, 0, "
    "CASE WHEN b.n <= %(open)s THEN 1000 ELSE 0 END, 0, f.waiting_work * %(each)s, 0 "
    "FROM bench_tenant b, generation_flow f WHERE f.tenant_id = %(tenant)s",
    "INSERT INTO billing_wallet SELECT r.* FROM bench_tenant b, billing_wallet w, LATERAL jsonb_populate_record(w, "
    "jsonb_build_object('id', uuidv7(), 'tenant_id', b.id, 'held', w.held * %(each)s)) r "
    "WHERE w.tenant_id = %(tenant)s AND b.n <= %(open)s",
    "INSERT INTO billing_lot SELECT r.* FROM bench_tenant b, billing_lot l, LATERAL jsonb_populate_record(l, "
    "jsonb_build_object('id', b.lot, 'tenant_id', b.id, 'amount', l.available + l.pinned * %(each)s, "
    "'pinned', l.pinned * %(each)s, 'charged', 0, 'removed', 0)) r "
    "WHERE l.tenant_id = %(tenant)s AND l.pinned > 0 AND b.n <= %(open)s",
    "INSERT INTO billing_hold SELECT r.* FROM bench_job b, billing_hold h, LATERAL jsonb_populate_record(h, "
    "jsonb_build_object('id', b.hold, 'tenant_id', b.tenant, 'owner_id', b.id)) r "
    "WHERE h.tenant_id = %(tenant)s AND b.n <= %(open)s",
    "INSERT INTO billing_pin SELECT r.* FROM bench_job b, billing_pin p, LATERAL jsonb_populate_record(p, "
    "jsonb_build_object('id', uuidv7(), 'tenant_id', b.tenant, 'hold_id', b.hold, 'lot_id', b.lot)) r "
    "WHERE p.tenant_id = %(tenant)s AND b.n <= %(open)s",
    # The pattern itself is no part of it.
    "UPDATE generation_generation SET status = 'failed' WHERE tenant_id = %(tenant)s",
    "UPDATE generation_flow SET queued = 0 WHERE tenant_id = %(tenant)s",
)


def _row(name: str, found: Found) -> list[str]:
    return [name, milliseconds(found.quantile(0.5)), milliseconds(found.quantile(0.99)), f"{found.rate:.0f}",
            str(found.empty), str(found.double)]  # fmt: skip
