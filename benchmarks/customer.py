"""A customer of the benchmarks: a tenant, a key, a model of its own, and plain HTTP."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

from easel.database import platform_role
from generation.models import Generation
from generation.registry import register
from tests.cast import make_customer


@dataclass(frozen=True)
class Customer:
    base_url: str
    token: str
    model: str
    tenant_id: UUID

    @classmethod
    def make(cls, base_url: str, *, model_folder: Path, pool: str) -> "Customer":
        someone = make_customer(pool)
        with platform_role():
            model = register(pool, str(model_folder), pool=pool)
        return cls(base_url, someone.token(), model.name, someone.id)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = Request(self.base_url + path, json.dumps(body).encode(), headers)
        with urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))

    def ended(self, generation_id: UUID) -> Any:
        """The generation's row, once it has ended."""
        while True:
            with platform_role():
                row = Generation.objects.get(id=generation_id)
            if row.status not in {"queued", "running"}:
                return row
            time.sleep(0.01)
