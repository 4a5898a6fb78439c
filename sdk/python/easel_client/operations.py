"""What can be done with Easel, each written once: `sync.py` runs these steps, `aio.py` awaits them."""

from __future__ import annotations

import base64
import hashlib
import math
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from easel_client import errors
from easel_client.conversation import EVENTS, Call, Session, content_of, converse
from easel_client.effects import Broken, Emit, ReadMore, Sleep, Steps
from easel_client.options import body_of
from easel_client.records import UNFINISHED, ImageData
from easel_client.sse import EventParser

HOLD_SECONDS = 25  # how long Easel is asked to hold an answer: proxies cut what is silent for longer
LOOK_SECONDS = 5.0  # that one look has at least, for a token that has to be renewed and the like
POLL_SECONDS = (0.5, 2.0)  # where it does not hold answers: from, to
PAGE = 100
LONGEST_KEY = 255
ALIVE_SECONDS = 10.0  # a stream that is heard of for longer was a good one: Easel says something every 15

Json = Mapping[str, Any]


class Operations:
    def __init__(self, session: Session) -> None:
        self._session = session

    # --- Generations -----------------------------------------------------------------------------------

    def submit(self, prompt: str, options: Json, *, idempotency_key: str | None, hold: int = 0) -> Steps[Any]:
        return self._make("/v1/generations", {"prompt": prompt, **body_of(options)}, idempotency_key, hold)

    def generate(self, prompt: str, options: Json, *, idempotency_key: str | None, timeout: float) -> Steps[Any]:
        deadline = self._session.clock() + timeout
        made = yield from self.submit(prompt, options, idempotency_key=idempotency_key, hold=_hold(timeout))
        if made["status"] not in UNFINISHED:
            return made
        return (yield from self._until_ended(made["id"], deadline))

    def wait(self, generation_id: str, *, timeout: float) -> Steps[Any]:
        return self._until_ended(generation_id, self._session.clock() + timeout)

    def _until_ended(self, generation_id: str, deadline: float) -> Steps[Any]:
        """The generation once it has ended, or as it stands at the deadline. It goes on while Easel cannot be asked, so
        that is waited out, too."""
        clock, pause, failures = self._session.clock, POLL_SECONDS[0], 0
        while True:
            call = Call("GET", f"/v1/generations/{_part(generation_id)}", wait=_hold(deadline - clock()))
            try:
                reply = yield from converse(self._session, call, deadline=max(deadline, clock() + LOOK_SECONDS))
                generation = content_of(reply)
            except errors.EaselError as error:
                error.generation_id = generation_id
                failures += 1
                yield Sleep(self._pause_after(error, failures, deadline))
                continue
            failures, left = 0, deadline - clock()
            if generation["status"] not in UNFINISHED or left <= 0:
                return generation
            if "preference-applied" not in reply.headers:  # Easel does not hold it: then it is asked now and then
                yield Sleep(min(pause * (0.5 + self._session.chance()), left))
                pause = min(pause * 1.5, POLL_SECONDS[1])

    def _pause_after(self, error: errors.EaselError, failures: int, deadline: float) -> float:
        """Seconds until a generation is asked for again. Raises the error where that would be in vain, or too late."""
        session = self._session
        at_once = isinstance(error, errors.CircuitOpen) and session.breaker.fail_fast
        if at_once or not isinstance(error, errors.TRANSIENT):
            raise error
        asked = error.retry_after if isinstance(error, (errors.APIError, errors.CircuitOpen)) else None
        pause = session.retry.pause(failures, asked=asked, chance=session.chance)
        if session.clock() + pause > deadline:
            raise error
        return pause

    def get(self, generation_id: str) -> Steps[Any]:
        return self._ask("GET", f"/v1/generations/{_part(generation_id)}")

    def status(self, generation_id: str) -> Steps[Any]:
        return self._ask("GET", f"/v1/generations/status/{_part(generation_id)}")

    def list(self, *, status: str | None, model: str | None) -> Steps[None]:
        return self._pages("/v1/generations", {"status": status, "model": model})

    def search(self, words: str, limit: int | None) -> Steps[Any]:
        return self._data("/v1/generations/search", {"q": words, "limit": limit})

    def cancel(self, generation_id: str) -> Steps[str]:
        """It stands as canceled, or as one that is being stopped. Raises AlreadyFinished where it ended otherwise."""
        try:
            return str((yield from self._ask("POST", f"/v1/generations/{_part(generation_id)}/cancel"))["status"])
        except errors.AlreadyFinished as error:
            if error.raw.get("generation_status") != "canceled":
                raise
            return "canceled"  # by an attempt whose answer was lost, or before

    def cancel_many(self, conditions: Json) -> Steps[Any]:
        return self._ask("POST", "/v1/generations/cancel", body=dict(conditions))

    def delete(self, generation_id: str) -> Steps[None]:
        yield from self._erase(f"/v1/generations/{_part(generation_id)}")

    def vary(self, image_id: str, options: Json, *, idempotency_key: str | None) -> Steps[Any]:
        return self._make(f"/v1/images/{_part(image_id)}/variations", body_of(options), idempotency_key)

    def upscale(self, image_id: str, scale: float, *, idempotency_key: str | None) -> Steps[Any]:
        return self._make(f"/v1/images/{_part(image_id)}/upscale", {"scale": scale}, idempotency_key)

    def download(self, generation_id: str, image: ImageData) -> Steps[bytes]:
        """The file. By the result's address, not the image's own: that one ends after an hour and is never sealed."""
        path = f"/v1/generations/result/{_part(generation_id)}"
        reply = yield from converse(self._session, Call("GET", path, query={"index": image.index}, accept="image/*"))
        if hashlib.sha256(reply.content).hexdigest() != image.sha256:
            raise errors.DamagedImage(f"Image {image.id} came with another SHA-256 than Easel stated.")
        return reply.content

    # --- Events ----------------------------------------------------------------------------------------

    def events(self, generation_id: str | None, *, timeout: float | None = None) -> Steps[None]:
        """Emits events, of one generation until it is done. Comes back by itself after a break, where it was."""
        if self._session.sealer is not None:
            raise errors.NotSealed("Event streams cannot be sealed. Use wait().")
        path = "/v1/events" if generation_id is None else f"/v1/generations/{_part(generation_id)}/events"
        retry, clock = self._session.retry, self._session.clock
        deadline = clock() + (math.inf if timeout is None else timeout)
        last_id, silent_breaks = "", 0
        while (left := deadline - clock()) > 0:
            call = Call("GET", path, accept=EVENTS, stream=True, silence=left, last_event_id=last_id)
            yield from converse(self._session, call, deadline=deadline)
            parser, opened, ended = EventParser(), clock(), False
            # Pings are no events: whoever iterates would not hear of the deadline.
            while clock() < deadline and isinstance(chunk := (yield ReadMore()), bytes):
                if clock() - opened > ALIVE_SECONDS:
                    silent_breaks = 0
                for event in parser.feed(chunk):
                    if event.kind == "end":
                        ended = True  # in order, as with its token; another stream goes on
                        continue
                    last_id, silent_breaks = event.id or last_id, 0
                    yield Emit(event)
                    if event.kind == "done" and generation_id is not None:
                        return
            if clock() >= deadline:
                return
            silent_breaks = 0 if ended else silent_breaks + 1
            if silent_breaks >= retry.attempts:
                broken = errors.ConnectionFailed(f"{path}: the stream broke {silent_breaks} times without an event.")
                raise broken from (chunk.error if isinstance(chunk, Broken) else None)
            pause = retry.pause(max(1, silent_breaks), asked=None, chance=self._session.chance)
            yield Sleep(min(pause, max(0.0, deadline - clock())))

    def ticket(self, generation_id: str) -> Steps[Any]:
        return self._ask("POST", f"/v1/generations/{_part(generation_id)}/tickets")

    # --- Before and around -----------------------------------------------------------------------------

    def quote(self, prompt: str, options: Json) -> Steps[Any]:
        body = body_of(options)
        return self._ask("POST", "/v1/quotes", body={"prompt": prompt, **body} if prompt else body)

    def moderate(self, given: str | bytes) -> Steps[Any]:
        body = {"input": given} if isinstance(given, str) else {"image": base64.b64encode(given).decode()}
        return (yield from self._ask("POST", "/v1/moderations", body=body))["results"][0]

    def upload(self, content: bytes) -> Steps[Any]:
        if self._session.sealer is not None:
            raise errors.NotSealed("Uploads cannot be sealed. Give the picture as init_image or mask.")
        call = Call("POST", "/v1/inputs", content=content, content_type=_type_of(content))
        return content_of((yield from converse(self._session, call)))

    def models(self) -> Steps[Any]:
        return self._data("/v1/models")

    def samplers(self) -> Steps[Any]:
        return self._data("/v1/samplers")

    def account(self) -> Steps[Any]:
        return self._ask("GET", "/v1/account")

    def usage(self, *, first: str | None, last: str | None, group_by: str | None) -> Steps[Any]:
        return self._ask("GET", "/v1/usage", query={"from": first, "to": last, "group_by": group_by})

    # --- Keys ------------------------------------------------------------------------------------------

    def keys(self) -> Steps[Any]:
        return self._data("/v1/keys")

    def key(self, key_id: str) -> Steps[Any]:
        return self._ask("GET", f"/v1/keys/{_part(key_id)}")

    def create_key(self, name: str, scopes: Any, rules: Json) -> Steps[Any]:
        body = {"name": name, "scopes": [*scopes], **rules}
        return self._reveal("/v1/keys", body)

    def change_key(self, key_id: str, changes: Json) -> Steps[Any]:
        return self._ask("PATCH", f"/v1/keys/{_part(key_id)}", body=dict(changes))

    def rotate_key(self, key_id: str, overlap_seconds: int) -> Steps[Any]:
        return self._reveal(f"/v1/keys/{_part(key_id)}/rotate", {"overlap_seconds": overlap_seconds})

    def revoke_key(self, key_id: str) -> Steps[None]:
        yield from self._erase(f"/v1/keys/{_part(key_id)}")

    # --- Webhooks --------------------------------------------------------------------------------------

    def endpoints(self) -> Steps[Any]:
        return self._data("/v1/webhooks")

    def endpoint(self, endpoint_id: str) -> Steps[Any]:
        return self._ask("GET", f"/v1/webhooks/{_part(endpoint_id)}")

    def create_endpoint(self, url: str, events: Any, description: str) -> Steps[Any]:
        body = {"url": url, "events": [*events], "description": description}
        return self._reveal("/v1/webhooks", body)

    def change_endpoint(self, endpoint_id: str, changes: Json) -> Steps[Any]:
        return self._ask("PATCH", f"/v1/webhooks/{_part(endpoint_id)}", body=dict(changes))

    def rotate_secret(self, endpoint_id: str) -> Steps[Any]:
        return self._reveal(f"/v1/webhooks/{_part(endpoint_id)}/rotate-secret")

    def test_endpoint(self, endpoint_id: str) -> Steps[Any]:
        return self._ask("POST", f"/v1/webhooks/{_part(endpoint_id)}/test", repeatable=False)

    def delete_endpoint(self, endpoint_id: str) -> Steps[None]:
        yield from self._erase(f"/v1/webhooks/{_part(endpoint_id)}")

    def default_secret(self) -> Steps[str]:
        return str((yield from self._ask("GET", "/v1/webhooks/default/secret"))["secret"])

    def deliveries(self, endpoint_id: str) -> Steps[None]:
        return self._pages(f"/v1/webhooks/{_part(endpoint_id)}/deliveries", {})

    def redeliver(self, delivery_id: str) -> Steps[Any]:
        return self._ask("POST", f"/v1/webhooks/deliveries/{_part(delivery_id)}/redeliver")

    # --- How -------------------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, *, query: Json | None = None, body: Any = None, repeatable: bool = True
    ) -> Steps[Any]:
        call = Call(method, path, query=query or {}, body=body, repeatable=repeatable)
        return content_of((yield from converse(self._session, call)))

    def _make(self, path: str, body: Json, idempotency_key: str | None, hold: int = 0) -> Steps[Any]:
        """A generation. One key for all attempts: whichever of them arrives, one generation is made."""
        key = idempotency_key or uuid.uuid4().hex
        if len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
            raise ValueError(f"An idempotency key is 1 to {LONGEST_KEY} printable ASCII characters.")
        call = Call("POST", path, body=body, idempotency_key=key, wait=hold)
        return content_of((yield from converse(self._session, call)))

    def _reveal(self, path: str, body: Json | None = None) -> Steps[Any]:
        """A secret, shown once. Under a key Easel keeps the answer for ten minutes, in case it is lost on the way."""
        call = Call("POST", path, body=body, idempotency_key=uuid.uuid4().hex)
        return content_of((yield from converse(self._session, call)))

    def _erase(self, path: str) -> Steps[None]:
        try:
            yield from converse(self._session, Call("DELETE", path))
        except errors.NotFound as error:
            if not error.maybe_done:
                raise
            # An attempt before, whose answer was lost, has done it.

    def _data(self, path: str, query: Json | None = None) -> Steps[Any]:
        return (yield from self._ask("GET", path, query=query))["data"]

    def _pages(self, path: str, query: Json) -> Steps[None]:
        cursor: str | None = None
        while True:
            page = yield from self._ask("GET", path, query={**query, "limit": PAGE, "cursor": cursor})
            for each in page["data"]:
                yield Emit(each)
            cursor = page["next_cursor"]
            if not cursor:
                return


def _part(given: str) -> str:
    """An id in a path: it comes from whoever uses the program, and could otherwise lead to another call. Raises
    ValueError."""
    written = str(given)
    if written in {"", ".", ".."}:
        raise ValueError(f"{written!r} is no id.")
    return quote(written, safe="")


def _hold(seconds: float) -> int:
    """For how long Easel is asked to hold an answer while so much time is left."""
    return max(0, math.ceil(min(HOLD_SECONDS, seconds)))


def _type_of(content: bytes) -> str:
    """By its first bytes; Easel looks for itself, too."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError("A picture to start from is a PNG, JPEG or WebP file.")
