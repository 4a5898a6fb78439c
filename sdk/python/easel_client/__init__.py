"""Easel from Python.

from easel_client import Easel

with Easel("https://easel.example", "ek_live_…", "es_…") as easel:
    easel.generate("a red apple").images[0].save("apple.png")
"""

from easel_client._version import __version__
from easel_client.aio import AsyncEasel, AsyncGeneration, AsyncImage
from easel_client.breaker import CircuitBreaker
from easel_client.errors import (
    APIError,
    AuthenticationError,
    CircuitOpen,
    EaselError,
    GenerationCanceled,
    GenerationFailed,
    GenerationInReview,
    GenerationNotCompleted,
    GenerationRejected,
    TransportError,
    WaitTimedOut,
)
from easel_client.policy import NO_RETRIES, RetryPolicy, Timeouts
from easel_client.sse import Event
from easel_client.sync import Easel, Generation, Image
from easel_client.webhooks import InvalidSignature, Webhook, WebhookEvent

__all__ = [
    "NO_RETRIES",
    "APIError",
    "AsyncEasel",
    "AsyncGeneration",
    "AsyncImage",
    "AuthenticationError",
    "CircuitBreaker",
    "CircuitOpen",
    "Easel",
    "EaselError",
    "Event",
    "Generation",
    "GenerationCanceled",
    "GenerationFailed",
    "GenerationInReview",
    "GenerationNotCompleted",
    "GenerationRejected",
    "Image",
    "InvalidSignature",
    "RetryPolicy",
    "Timeouts",
    "TransportError",
    "WaitTimedOut",
    "Webhook",
    "WebhookEvent",
    "__version__",
]
