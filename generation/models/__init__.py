"""The rows of this app, by what they are about."""

from generation.models.catalog import Model, ModelAccess, RouteOverride
from generation.models.compat import A1111Options
from generation.models.figures import DayFigures
from generation.models.objects import DoomedObject, Image, Input, ObjectIntent, Share
from generation.models.queue import Flow, Pool, PoolTime
from generation.models.reuse import CachedResult, IdempotencyRecord, InFlight
from generation.models.signing import Certificate
from generation.models.work import Generation, Tag

__all__ = [
    "A1111Options",
    "CachedResult",
    "Certificate",
    "DayFigures",
    "DoomedObject",
    "Flow",
    "Generation",
    "IdempotencyRecord",
    "Image",
    "InFlight",
    "Input",
    "Model",
    "ModelAccess",
    "ObjectIntent",
    "Pool",
    "PoolTime",
    "RouteOverride",
    "Share",
    "Tag",
]
