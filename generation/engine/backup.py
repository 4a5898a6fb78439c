"""Drawing by somebody else's service while our own models cannot: another Easel, or an endpoint in the form of OpenAI's
Images API (`POST /v1/images/generations`). An operator names it in the settings; it is asked through `easel.outbound`.

It behaves as an engine: a drawing in, pixels or a typed error out. It knows no steps, seeds or samplers of ours, which
a warning says.
"""

import base64
import binascii
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock, Semaphore, Thread
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from PIL import Image, UnidentifiedImageError

from easel import outbound
from easel.outbound import Answer, RefusedAddress, Unreachable
from generation.engine.protocol import Admission, Checkpoint, Drawing, DrawingStopped, Drawn, EngineError

MOST_BYTES: Final = 64 * 1024 * 1024
SECONDS: Final = 180.0
AT_ONCE: Final = 4
WARNING: Final = "Drawn by a backup service: steps, seed, sampler and guidance are its own."
OF_THIS_REQUEST: Final = frozenset({400, 413, 422})  # another one may do: this says nothing of the service's health
POLICY_CODES: Final = frozenset(
    {"content_policy_violation", "moderation_blocked", "content_filter", "content_rejected"}
)
KEPT_BACK: Final = frozenset({"rejected", "in_review"})  # by another Easel's moderation


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`kind` is "openai" or "easel"; `key` a bearer token, or for another Easel `key id:secret`."""

    kind: str
    url: str  # without a path
    key: str
    model: str


class BackupEngine:
    """Some drawings at once, each one call of the service, on a thread that nobody waits for: the service may take
    minutes, and a worker that is asked to stop has seconds."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._free = Semaphore(AT_ONCE)
        self._under_way: set[Future[Drawn]] = set()
        self._closed, self._lock = False, Lock()

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        """There is nothing to load."""

    def wait_for_slot(self, timeout: float) -> int:
        if self._closed or not self._free.acquire(timeout=timeout):
            return 0
        self._free.release()
        return 1

    def admit(self, admission: Admission) -> "Future[Drawn]":
        self._free.acquire()
        future = Future[Drawn]()
        future.add_done_callback(lambda done: self._free.release())
        with self._lock:
            late = self._closed
            if not late:
                self._under_way.add(future)
        if late:
            future.set_exception(DrawingStopped())
        else:
            Thread(target=self._bring, args=(admission, future), name="backup", daemon=True).start()
        return future

    def close(self) -> None:
        """What the service still says is heard by nobody."""
        with self._lock:
            self._closed = True
            under_way, self._under_way = self._under_way, set()
        for future in under_way:
            future.set_exception(DrawingStopped())

    def _bring(self, admission: Admission, future: "Future[Drawn]") -> None:
        end: Callable[[], None]
        try:
            end = partial(future.set_result, self._draw(admission))
        except Exception as error:  # noqa: BLE001  handed on: without it the future would never end
            end = partial(future.set_exception, error)
        with self._lock:
            if future not in self._under_way:
                return
            self._under_way.remove(future)
        end()

    def _draw(self, admission: Admission) -> Drawn:
        if admission.stop.is_set():
            raise DrawingStopped
        drawing, started = admission.drawing, time.monotonic()
        if drawing.init_image is not None:
            detail = "The backup service draws from words only."
            raise EngineError("init_image_unsupported", detail, permanent=True)
        try:
            data = (_from_easel if self._service.kind == "easel" else _from_openai)(self._service, drawing)
        except (Unreachable, RefusedAddress) as error:
            raise _failed(error.reason, permanent=isinstance(error, RefusedAddress)) from error
        pixels = _pixels(data, drawing)
        admission.on_step(drawing.steps, drawing.steps)
        return Drawn(
            pixels=pixels, steps_run=drawing.steps, seconds=time.monotonic() - started, warnings=[WARNING]
        )  # fmt: skip


def _from_openai(service: Service, drawing: Drawing) -> bytes:
    body = {
        "model": service.model,
        "prompt": drawing.prompt,
        "n": 1,
        "size": f"{drawing.width}x{drawing.height}",
        "response_format": "b64_json",
    }
    answer = _post(f"{service.url}/v1/images/generations", body, token=service.key)
    try:
        return base64.b64decode(json.loads(answer.body)["data"][0]["b64_json"], validate=True)
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error) as error:
        raise _failed("Its answer holds no picture.") from error


def _from_easel(service: Service, drawing: Drawing) -> bytes:
    token = _token(service)
    body: dict[str, Any] = {
        "prompt": drawing.prompt,
        "negative_prompt": drawing.negative_prompt,
        "width": drawing.width,
        "height": drawing.height,
        "steps": drawing.steps,
        "cfg_scale": drawing.cfg_scale,
        "sampler": drawing.sampler,
        "seed": drawing.seed,
        "model": service.model or "auto",
    }
    # A job that comes back, because we did not hear or wait to the end, finds what was begun for it and pays once.
    key = f"{drawing.image_id}-{drawing.seed}"
    made = _field(_post(f"{service.url}/v1/generations", body, token=token, idempotency_key=key), "id")
    url, deadline = f"{service.url}/v1/generations/result/{made}", time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        answer = _get(url, accept="image/*", token=token)
        if answer.status == 200 and answer.headers.get("content-type", "").startswith("image/"):
            return answer.body
        if answer.status == 404:
            raise _without_picture(_get(url, accept="application/json", token=token))
        if answer.status != 202:
            raise _refused(answer)
        time.sleep(0.5)
    raise _failed("It did not finish in time.")


def _without_picture(answer: Answer) -> EngineError:
    """Why another Easel's generation has ended without one, by its result."""
    if answer.status != 200:
        return _refused(answer)
    status = _field(answer, "status")
    if status in KEPT_BACK:
        return _refusal("Its moderation let no picture through.")
    return _failed(f"Its generation is {status}, without a picture.", permanent=True)


def _token(service: Service) -> str:
    key_id, _, secret = service.key.partition(":")
    form = urlencode({"grant_type": "client_credentials", "client_id": key_id, "client_secret": secret})
    answer = outbound.request(
        "POST", f"{service.url}/oauth/token", headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=form.encode(), timeout=30, allow_private=True,
    )  # fmt: skip
    if answer.status != 200:
        raise _failed_with(answer)  # whatever it was: no request is in it
    return _field(answer, "access_token")


def _get(url: str, *, accept: str, token: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    return outbound.request("GET", url, headers=headers, timeout=30, max_bytes=MOST_BYTES, allow_private=True)


def _post(url: str, body: dict[str, Any], *, token: str, idempotency_key: str = "") -> Answer:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    answer = outbound.request(
        "POST", url, headers=headers, body=json.dumps(body).encode(), timeout=SECONDS, max_bytes=MOST_BYTES,
        allow_private=True,
    )  # fmt: skip
    if answer.status not in {200, 202}:
        raise _refused(answer)
    return answer


def _field(answer: Answer, name: str) -> str:
    try:
        return str(json.loads(answer.body)[name])
    except (ValueError, KeyError, TypeError) as error:
        raise _failed(f"Its answer has no {name}.") from error


def _pixels(data: bytes, drawing: Drawing) -> Any:
    """uint8 of shape (height, width, 3), at the size that was asked for."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise _failed("What it sent is no picture.") from error
    if picture.size != (drawing.width, drawing.height):
        picture = picture.resize((drawing.width, drawing.height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8)


def _refused(answer: Answer) -> EngineError:
    if answer.status in OF_THIS_REQUEST or (400 <= answer.status < 500 and _code(answer) in POLICY_CODES):
        return _refusal(f"It answered {answer.status}.")
    return _failed_with(answer)


def _code(answer: Answer) -> str:
    """The name of the error, as OpenAI's API or RFC 9457 tells it; empty where there is none."""
    try:
        told = json.loads(answer.body)
    except ValueError:
        return ""
    error = told.get("error", told) if isinstance(told, dict) else None
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _refusal(reason: str) -> EngineError:
    """This request will never do there, because of its words or its size; others may."""
    return EngineError("backup_refused", f"The backup service: {reason}", permanent=True)


def _failed_with(answer: Answer) -> EngineError:
    """4xx says that it will never do, 429 and 5xx that another attempt may."""
    permanent = 400 <= answer.status < 500 and answer.status not in {408, 409, 429}
    return _failed(f"It answered {answer.status}.", permanent=permanent)


def _failed(reason: str, *, permanent: bool = False) -> EngineError:
    return EngineError("model_unavailable", f"The backup service: {reason}", permanent=permanent)
