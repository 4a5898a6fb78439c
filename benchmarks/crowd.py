"""Customers at a given rate: each asks for a picture, waits for it, and fetches it. Arrivals do not wait for answers,
as customers' do not, so an Easel that falls behind is seen to fall behind."""

import asyncio
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from tests.cast import Customer

STEPS: Final = 2
PATIENCE: Final = aiohttp.ClientTimeout(total=60)
SIGN_IN_SECONDS: Final = 1200  # tokens are good for an hour
HELD_SECONDS: Final = 60
UNFINISHED_SECONDS: Final = 120  # then the visitor leaves, and that is an error
MOST_AT_ONCE: Final = 400  # visits; more are not begun, and counted as turned away


@dataclass
class Seen:
    """What the customers of one stretch of time saw."""

    offered: float  # visits a second
    meant: float  # seconds in which they arrive
    seconds: float = 0.0  # until the last one had left
    visits: int = 0
    requests: int = 0
    latencies: list[float] = field(default_factory=list)  # of requests that Easel was not asked to hold
    errors: Counter[str] = field(default_factory=Counter)
    turned_away: int = 0
    held: int = 0  # pictures that nobody could judge at once, and that came later

    @property
    def achieved(self) -> float:
        return self.visits / self.seconds

    def quantile(self, share: float) -> float:
        if len(self.latencies) < 2:
            return self.latencies[0] if self.latencies else 0.0
        return statistics.quantiles(self.latencies, n=1000, method="inclusive")[round(share * 1000) - 1]

    @property
    def wrong(self) -> int:
        return sum(self.errors.values()) + self.turned_away


def paying_customers(count: int) -> "list[Customer]":
    """Tenants on the largest plan, with credits for days."""
    from billing import ledger
    from easel.database import platform_role
    from tests.cast import make_customer

    found = [make_customer(f"Crowd {number}", plan="business") for number in range(count)]
    with platform_role():
        for each in found:
            ledger.grant(each.id, 10**8, operation_id=f"grant:crowd:{each.id}")
    return found


class Crowd:
    def __init__(self, base_url: str, customers: "Sequence[Customer]", model: str, *, seed: int = 1) -> None:
        self._base_url, self._model = base_url, model
        self._customers = list(customers)
        self._tokens: list[str] = []
        self._signed_in = 0.0
        self._chance = random.Random(seed)
        self._number = 0

    async def visit_for(self, seconds: float, *, rate: float) -> Seen:
        """Poisson arrivals at `rate` a second. Returns when the last visitor has left."""
        seen = Seen(rate, seconds)
        await self._sign_in()
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
        async with aiohttp.ClientSession(connector=connector, timeout=PATIENCE) as session:
            visits: set[asyncio.Task[None]] = set()
            begun, due = time.monotonic(), time.monotonic()
            while (due := due + self._chance.expovariate(rate)) < begun + seconds:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if time.monotonic() - self._signed_in > SIGN_IN_SECONDS:
                    await self._sign_in()
                if len(visits) >= MOST_AT_ONCE:
                    seen.turned_away += 1
                    continue
                visit = asyncio.create_task(self._visit(session, seen))
                visits.add(visit)
                visit.add_done_callback(visits.discard)
            if visits:
                await asyncio.wait(visits)
            seen.seconds = time.monotonic() - begun
        return seen

    async def _sign_in(self) -> None:
        self._tokens = await asyncio.to_thread(lambda: [customer.token() for customer in self._customers])
        self._signed_in = time.monotonic()

    async def _visit(self, session: aiohttp.ClientSession, seen: Seen) -> None:
        self._number += 1
        token = self._tokens[self._number % len(self._customers)]
        headers = {"Authorization": f"Bearer {token}"}
        # Bare numbers are films and lottery tickets to the classifier now and then; in a sentence they are not.
        prompt = f"a red apple on a wooden table, take {self._number}"
        body = {"prompt": prompt, "model": self._model, "steps": STEPS, "width": 64, "height": 64}
        try:
            made = await self._ask(session, seen, "POST", "/v1/generations", headers, body)
            path = f"/v1/generations/{made['id']}"
            ended, patience = made, time.monotonic() + UNFINISHED_SECONDS
            while ended["status"] in {"queued", "running"} and time.monotonic() < patience:
                ended = await self._ask(session, seen, "GET", path, {**headers, "Prefer": "wait=20"})
            if ended["status"] == "in_review":
                seen.held += 1
                ended = await self._judged(session, seen, path, headers)
            if ended["status"] == "completed":
                await self._ask(session, seen, "GET", ended["images"][0]["url"], {})
                seen.visits += 1
            else:
                seen.errors[ended["status"]] += 1
        except Wrong as wrong:
            seen.errors[str(wrong)] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.errors[type(error).__name__] += 1

    async def _judged(self, session: aiohttp.ClientSession, seen: Seen, path: str, headers: dict[str, str]) -> Any:
        """Once the clock has had it judged, as it has what the screening process was too busy for."""
        patience = time.monotonic() + HELD_SECONDS
        while True:
            await asyncio.sleep(1.0)
            ended = await self._ask(session, seen, "GET", path, headers)
            if ended["status"] != "in_review" or time.monotonic() > patience:
                return ended

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        seen: Seen,
        method: str,
        path: str,
        headers: dict[str, str],
        body: object = None,
    ) -> Any:
        url = path if path.startswith("http") else self._base_url + path
        begun = time.perf_counter()
        async with session.request(method, url, headers=headers, json=body) as answer:
            content = await answer.read()
            seen.requests += 1
            if "Prefer" not in headers:
                seen.latencies.append(time.perf_counter() - begun)
            if answer.status not in {200, 202}:
                raise Wrong(f"{answer.status} for {method} {path.split('/')[1]}")
            return json.loads(content) if answer.content_type == "application/json" else content


class Wrong(Exception):
    """An answer that a customer would complain about."""
