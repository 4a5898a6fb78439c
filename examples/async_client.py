"""Draw one picture over Easel's API: sign a token, submit, poll, fetch.

pip install aiohttp PyJWT
EASEL_URL=http://127.0.0.1:8000 EASEL_API_KEY=ek_live_… EASEL_API_SECRET=es_… python examples/async_client.py
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import aiohttp
import jwt

BASE_URL = os.environ.get("EASEL_URL", "http://127.0.0.1:8000")
API_KEY = os.environ["EASEL_API_KEY"]
API_SECRET = os.environ["EASEL_API_SECRET"]

REQUEST = {
    "prompt": "cyberpunk cityscape",
    "negative_prompt": "blurry, lowres",
    "steps": 30,
    "width": 1024,
    "height": 768,
    "cfg_scale": 7.5,
    "sampler": "Euler a",
}


def headers() -> dict[str, str]:
    """A token that we sign ourselves, good for one hour; the key id goes beside it."""
    token = jwt.encode({"exp": int(time.time()) + 3600}, API_SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {token}", "X-API-Key": API_KEY}


async def generate(session: aiohttp.ClientSession, seconds: float = 300) -> bytes:
    """Submit the request, wait until it is completed, and return the image file."""
    async with session.post(f"{BASE_URL}/v1/generations", json=REQUEST, headers=headers()) as response:
        response.raise_for_status()
        task_id = (await response.json())["task_id"]

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        async with session.get(f"{BASE_URL}/v1/generations/status/{task_id}", headers=headers()) as response:
            response.raise_for_status()
            status = await response.json()
        if status["status"] == "completed":
            break
        if status["status"] not in {"queued", "running"}:
            raise RuntimeError(f"{task_id} ended as {status['status']}: {status['error']}")
        await asyncio.sleep(0.5)
    else:
        raise TimeoutError(f"{task_id} was not finished within {seconds:.0f} seconds")

    accept = headers() | {"Accept": "image/*"}
    async with session.get(f"{BASE_URL}/v1/generations/result/{task_id}", headers=accept) as response:
        response.raise_for_status()
        return await response.read()


async def main(target: Path) -> None:
    async with aiohttp.ClientSession() as session:
        image = await generate(session)
    target.write_bytes(image)
    print(f"{target}: {len(image)} bytes")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "cityscape.png")))
