"""What two requests have equal whose files can stand for one another, as 32 bytes that only the tenant's key can make.

Everything that decides the pixels is in it, the model's revision too, and how the tenant wants its files made: what was
made before a wish changed is not handed out under the new one. Metadata and whatever else changes no picture is left
out. Without the seed it says that two requests ask for the same kind of picture.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from easel.crypto import DataKey, fingerprint
from generation.models import Model
from generation.spec import GenerationSpec
from tenants.data_policy import Policy

# Raised when our own code begins to draw other pixels for an equal request: what was kept before is not found again.
DRAWING: Final = 1
_WISHES: Final = ("seal_images", "prompts_in_files", "own_certificate")  # of a policy, that show in a file


@dataclass(frozen=True, slots=True)
class Fingerprints:
    exact: bytes
    seedless: bytes


def of(spec: GenerationSpec, model: Model, key: DataKey, *, marked: bool, wishes: Policy) -> Fingerprints:
    """`marked`: with the visible mark. `wishes`: those of the tenant for its files."""
    asked = {"marked": marked, **{name: getattr(wishes, name) for name in _WISHES}}
    decides = spec.decides_pixels() | {name: True for name, wanted in asked.items() if wanted}
    made_by = [DRAWING, str(model.id), model.digest or model.revision, model.prompt_prefix]
    return Fingerprints(
        exact=_digest(key, [made_by, decides]),
        seedless=_digest(key, [made_by, decides | {"seed": None}]),
    )


def _digest(key: DataKey, parts: list[Any]) -> bytes:
    return fingerprint(key, b"pixels:" + json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())
