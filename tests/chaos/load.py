"""Customers who want their pictures whatever happens: they send each request until it is accepted, under one
idempotency key, and now and then they cancel or delete what they asked for."""

import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.cast import Customer

PATIENCE_SECONDS: Final = 180.0
CANCELED_SHARE, DELETED_SHARE, TWICE_SHARE = 0.08, 0.04, 0.15


@dataclass
class Outcome:
    """What the customers saw."""

    accepted: dict[str, str] = field(default_factory=dict)  # idempotency key → generation
    canceled: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    gave_up: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)  # status or error → how often
    contradictions: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Crowd:
    """Each customer is a thread. `allow(n)` lets n more requests of the crowd be sent: load and faults keep step."""

    def __init__(self, customers: list[Customer], *, base_url: str, model: str, jobs: int, seed: int) -> None:
        self.outcome = Outcome()
        self._base_url, self._model = base_url, model
        self._allowed = threading.Semaphore(0)
        self._lock = threading.Lock()
        shares = _shares(jobs, len(customers))
        self._threads = [
            threading.Thread(target=self._live, args=(customer, share, random.Random(f"{seed}-{at}"), at), daemon=True)
            for at, (customer, share) in enumerate(zip(customers, shares, strict=True))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def allow(self, requests: int) -> None:
        for _ in range(requests):
            self._allowed.release()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _live(self, customer: Customer, jobs: int, chance: random.Random, at: int) -> None:
        for number in range(jobs):
            # Drawn before anything is sent, so that a seed asks for the same jobs whatever happens meanwhile.
            body, fate = self._body(chance), chance.random()
            self._allowed.acquire()
            key = f"job-{at}-{number}"
            generation = self._send_until_accepted(customer, key, body)
            if generation is None:
                continue
            if fate < CANCELED_SHARE:
                self._call(customer, "POST", f"/v1/generations/{generation}/cancel", None, key)
                self.outcome.canceled.add(generation)
            elif fate < CANCELED_SHARE + DELETED_SHARE:
                if self._call(customer, "DELETE", f"/v1/generations/{generation}", None, key)[0] in {204, 404}:
                    self.outcome.deleted.add(generation)
            elif fate > 1 - TWICE_SHARE:
                again = self._send_until_accepted(customer, key, body)
                if again not in {generation, None}:
                    self.outcome.contradictions.append(f"{key}: {generation} and {again}")

    def _body(self, chance: random.Random) -> dict[str, Any]:
        edge = chance.choice([64, 128, 256])
        return {
            "prompt": f"a picture, {chance.randrange(10**6)}", "model": self._model, "width": edge, "height": edge,
            "steps": chance.choice([5, 20, 60, 150]), "n": chance.choice([1, 1, 2, 3]), "seed": chance.randrange(2**32),
        }  # fmt: skip

    def _send_until_accepted(self, customer: Customer, key: str, body: dict[str, Any]) -> str | None:
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            status, answer = self._call(customer, "POST", "/v1/generations", body, key)
            if status in {200, 202}:
                with self._lock:
                    self.outcome.accepted[key] = answer["id"]
                    self.outcome.slowest = max(self.outcome.slowest, time.monotonic() - begun)
                return str(answer["id"])
            time.sleep(0.2 + random.random() * 0.3)
        self.outcome.gave_up.append(key)
        return None

    def _call(
        self, customer: Customer, method: str, path: str, body: dict[str, Any] | None, key: str
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {_token(customer)}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key, "X-Request-ID": f"chaos-{key}"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self._base_url + path, data, headers, method=method), timeout=15) as answer:
                status, text = answer.status, answer.read()
        except HTTPError as error:
            status, text = error.code, error.read()
        except (URLError, OSError, ValueError) as error:
            self._note(type(error).__name__)
            return 0, {}
        self._note(str(status))
        try:
            return status, json.loads(text or "{}")
        except ValueError:
            return 0, {}

    def _note(self, what: str) -> None:
        with self._lock:
            self.outcome.answers[what] = self.outcome.answers.get(what, 0) + 1


_tokens: dict[str, tuple[str, float]] = {}


def _token(customer: Customer) -> str:
    """Signed by the customer itself: no service is needed to have one."""
    import jwt

    token, until = _tokens.get(customer.key.public_id, ("", 0.0))
    if until < time.time():
        until = time.time() + 1800
        token = jwt.encode(
            {"exp": int(time.time()) + 3500},
            customer.secret,
            algorithm="HS256",
            headers={"kid": customer.key.public_id},
        )
        _tokens[customer.key.public_id] = (token, until)
    return token


def _shares(jobs: int, customers: int) -> list[int]:
    """Unequal: the first asks for about half, as crowds are."""
    rest = jobs // 2 // max(1, customers - 1)
    return [jobs - rest * (customers - 1), *[rest] * (customers - 1)]
