"""The first picture, as any customer would get it: public API, standard library, nothing but demo.json."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from easel.embedded.terminal import report
from easel.embedded.trouble import Trouble

PROMPT = "a red apple"
PATIENCE = 300.0  # seconds: a slow machine draws with its processor
PAUSE = 0.2
REMIND_SECONDS = 5.0


def draw(demo_path: Path, out: Path) -> float:
    """Writes the picture to `out`; the seconds it took."""
    start = time.monotonic()
    demo = json.loads(demo_path.read_text())
    base = demo["base_url"]
    form = {"grant_type": "client_credentials", "client_id": demo["api_key"], "client_secret": demo["api_secret"]}
    token = _json(Request(demo["access_token_url"], data=urlencode(form).encode()))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"prompt": PROMPT}).encode()
    task = _json(Request(f"{base}/v1/generations", data=body, headers=headers))["id"]
    await_completion(Request(f"{base}/v1/generations/status/{task}", headers=headers), start)
    result = _json(Request(f"{base}/v1/generations/result/{task}", headers=headers))
    picture = _bytes(Request(result["images"][0]["url"]))
    unfinished = out.with_suffix(".part")
    unfinished.write_bytes(picture)
    unfinished.replace(out)
    return time.monotonic() - start


def await_completion(request: Request, start: float) -> None:
    reminded = start
    while (answer := _json(request))["status"] != "completed":
        now = time.monotonic()
        # One that is held because nobody could judge it yet is let go once somebody can.
        if answer["status"] in {"failed", "canceled", "rejected"}:
            raise Trouble(f"The first picture was not drawn: it is {answer['status']}.", "See log/worker.log in var.")
        if now - start > PATIENCE:
            raise Trouble(
                f"The first picture is still {answer['status']} after {PATIENCE:.0f} s.", "See log/worker.log in var."
            )
        if now - reminded > REMIND_SECONDS:
            reminded = now
            report("picture", f"{answer['status']}, {now - start:.0f} s")
        time.sleep(PAUSE)


def _json(request: Request) -> dict[str, Any]:
    answer = json.loads(_bytes(request))
    if not isinstance(answer, dict):
        raise Trouble(f"{request.full_url} answered with something else than a JSON object.")
    return answer


def _bytes(request: Request) -> bytes:
    try:
        with urlopen(request, timeout=30) as response:
            return bytes(response.read())
    except HTTPError as error:
        said = error.read(400).decode(errors="replace")
        raise Trouble(f"{request.full_url} answered {error.code}: {said}", "See log/web.log in var.") from error
    except (URLError, OSError) as error:
        raise Trouble(f"{request.full_url} does not answer: {error}.", "See log/web.log in var.") from error
