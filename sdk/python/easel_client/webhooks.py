"""Webhooks: whether a delivery is Easel's, by Standard Webhooks 1.0 (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from easel_client.errors import EaselError

SHORTEST_KEY = 16  # bytes: with an empty key, which anybody can sign with, nothing would be verified
TOLERANCE = 300  # seconds a delivery's time may differ from ours: an old one could be somebody's copy


class InvalidSignature(EaselError):
    """The delivery is not Easel's, or not as Easel sent it. Answer it with 400."""


@dataclass(frozen=True)
class WebhookEvent:
    """`id` is the same in every attempt to deliver it: keep it, and notice repetitions."""

    id: str
    type: str
    timestamp: str
    data: Mapping[str, Any]

    @property
    def generation_id(self) -> str | None:
        return self.data.get("id") if self.type.startswith("generation.") else None


class Webhook:
    """Verifies with one secret (`whsec_…`), or with several while one is being rotated."""

    def __init__(self, secret: str | Iterable[str], *, tolerance: int = TOLERANCE) -> None:
        secrets = [secret] if isinstance(secret, str) else list(secret)
        if not secrets:
            raise ValueError("A webhook needs at least one secret.")
        self._keys = [_key(each) for each in secrets]
        self._tolerance = tolerance

    def verify(self, body: bytes | str, headers: Mapping[str, str]) -> WebhookEvent:
        """The event. `body` is the request's, byte by byte as it came. Raises InvalidSignature."""
        content = body.encode() if isinstance(body, str) else body
        given = {name.lower(): value for name, value in headers.items()}
        try:
            message_id, moment, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        except KeyError as error:
            raise InvalidSignature(f"The header {error} is missing.") from error
        self._check_time(moment)
        signed = f"{message_id}.{moment}.".encode("utf-8", "surrogateescape") + content
        expected = [b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in self._keys]
        offered = [each.encode("utf-8", "replace") for each in signatures.split(" ")]
        # Every pair is compared, so that the time it takes tells nothing.
        if not any([hmac.compare_digest(one, other) for one in expected for other in offered]):  # noqa: C419
            raise InvalidSignature("No signature of this delivery was made with the secret.")
        return _event(message_id, content)

    def _check_time(self, moment: str) -> None:
        if not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
            raise InvalidSignature("webhook-timestamp is not a time.")
        if abs(time.time() - int(moment)) > self._tolerance:
            raise InvalidSignature("The delivery is too old, or this machine's clock is wrong.")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret[len("whsec_") :] if secret.startswith("whsec_") else secret, validate=True)
    except ValueError as error:
        raise ValueError("A webhook's secret is whsec_ and base64.") from error
    if len(key) < SHORTEST_KEY:
        raise ValueError("A webhook's secret is missing or cut off: it is whsec_ and at least 16 bytes in base64.")
    return key


def _event(message_id: str, content: bytes) -> WebhookEvent:
    try:
        event = json.loads(content)
        return WebhookEvent(message_id, event["type"], event["timestamp"], event["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSignature("The delivery is signed and yet is no event.") from error
