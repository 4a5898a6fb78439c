"""Ray Serve with `@serve.batch`: `ray_server.py PORT THREADS`."""

import asyncio
import os
import sys
import time
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.drawing import BATCH, WAIT, Painter


@serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Drawing:
    def __init__(self, threads: int) -> None:
        self._painter = Painter(threads)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT)
    async def draw(self, requests: list[dict[str, Any]]) -> list[dict[str, float]]:
        return await asyncio.to_thread(self._painter.draw, requests)

    async def __call__(self, request: Request) -> dict[str, float]:
        return await self.draw(await request.json())


if __name__ == "__main__":
    threads = int(sys.argv[2])
    kept = ("PYTHONPATH", "PEER_BATCH", "PEER_WAIT", "GOMP_SPINCOUNT")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    ray.init(num_cpus=4, include_dashboard=False, runtime_env={"env_vars": variables}, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Drawing.bind(threads), route_prefix="/draw")
    while True:
        time.sleep(60)
