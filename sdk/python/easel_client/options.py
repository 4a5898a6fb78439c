"""What can be asked for, with its types. The rules are Easel's (docs/api.md): it names the field that breaks one."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Union

# The bytes of a file, the path to one, or as text the id of one of your images or a file in base64.
Picture = Union[bytes, "os.PathLike[str]", str]


class Drawing(TypedDict, total=False):
    negative_prompt: str
    model: str
    steps: int
    width: int
    height: int
    cfg_scale: float
    sampler: str
    seed: int
    n: int
    format: str
    init_image: Picture
    mask: Picture
    strength: float
    clip_skip: int
    quality_target: float
    min_steps: int
    reuse: bool
    fallback: bool
    webhook_url: str
    metadata: Mapping[str, str]
    quote: str


class Derived(TypedDict, total=False):
    """For variations: what is not said is as in the picture they start from."""

    prompt: str
    strength: float
    seed: int
    n: int
    format: str


class KeyRules(TypedDict, total=False):
    mode: str
    expires_at: str | None
    allowed_networks: list[str]


class KeyChange(TypedDict, total=False):
    name: str
    expires_at: str | None
    allowed_networks: list[str]


class EndpointChange(TypedDict, total=False):
    url: str
    events: list[str]
    description: str
    enabled: bool


class Filter(TypedDict, total=False):
    """Which generations to cancel: all conditions must hold; none at all means everything unfinished."""

    ids: list[str]
    status: str
    model: str
    created_before: str
    metadata: Mapping[str, str]


def body_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """As the API takes it: files become base64, and None is as good as not said."""
    return {name: _plain(name, value) for name, value in options.items() if value is not None}


def file_of(picture: bytes | os.PathLike[str]) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _plain(name: str, value: Any) -> Any:
    if name in {"init_image", "mask"} and not isinstance(value, str):
        return base64.b64encode(file_of(value)).decode()
    return value
