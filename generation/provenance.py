"""Where a picture comes from, in the picture itself: a manifest after C2PA, signed, bound to every byte of the file.

Signing is the last thing that happens to a file: whatever changes it afterwards, a re-encoding or one flipped bit,
makes the manifest say so. The manifest names Easel, the model and the generation; it holds no prompt.
"""

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import c2pa

from easel import __version__
from generation.authority import Signatory
from generation.pictures import AI_GENERATED

OWN_ASSERTION: Final = "org.easel.generation"
TYPES: Final = ("image/png", "image/jpeg", "image/webp")

# Nothing is fetched from anywhere, for nobody's file.
_OFFLINE: Final = {"remote_manifest_fetch": False, "ocsp_fetch": False}
_SIGNING: Final = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False, **_OFFLINE}}


class Standing(StrEnum):
    TRUSTED = "trusted"  # unchanged, and signed under one of the roots that were given
    VALID = "valid"  # unchanged since somebody signed it, whom we do not know
    INVALID = "invalid"  # changed since it was signed, or signed wrongly
    NONE = "none"  # no manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a file says of its origin, and whether that can be believed."""

    standing: Standing
    problems: tuple[str, ...] = ()  # C2PA's status codes, such as assertion.dataHash.mismatch
    signer: str = ""
    certificate: str = ""  # serial number
    generator: str = ""
    ai_generated: bool = False
    generation: dict[str, Any] | None = None  # what Easel said of it, if Easel did


def sign(data: bytes, content_type: str, *, by: Signatory, about: dict[str, Any]) -> bytes:
    """The file with a manifest. `about` is what Easel says of it: JSON values, no prompt. Raises c2pa.C2paError."""
    agent = {"name": "Easel", "version": __version__}
    created = {"action": "c2pa.created", "digitalSourceType": AI_GENERATED, "softwareAgent": agent}
    manifest = {
        "claim_generator_info": [agent],
        "format": content_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": OWN_ASSERTION, "data": about},
        ],
    }
    signed = io.BytesIO()
    with (
        c2pa.Context.from_dict(_SIGNING) as context,
        c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", by.chain, by.key, None)) as signer,
        c2pa.Builder.from_json(json.dumps(manifest), context=context) as builder,
    ):
        builder.sign(signer, content_type, io.BytesIO(data), signed)
    return signed.getvalue()


def read(data: bytes, content_type: str, *, anchors: str) -> Provenance:
    """Check a file of anybody's. `anchors` is PEM: the roots to be trusted."""
    verify = {"verify_trust": True, **_OFFLINE}
    settings: dict[str, Any] = (
        {"verify": verify, "trust": {"trust_anchors": anchors}} if anchors else {"verify": verify}
    )
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(content_type, io.BytesIO(data), context=context) as reader,
        ):
            return _told(json.loads(reader.json()), str(reader.get_validation_state()))
    except c2pa.C2paError.ManifestNotFound:
        return Provenance(standing=Standing.NONE)
    except c2pa.C2paError as error:
        # A file that is no picture, or a manifest that is none: the reader's own words, without its handles.
        return Provenance(standing=Standing.INVALID, problems=(f"unreadable: {str(error)[:200]}",))


def _told(report: dict[str, Any], state: str) -> Provenance:
    manifest = report["manifests"][report["active_manifest"]]
    signature = manifest.get("signature_info", {})
    results = report.get("validation_results", {}).get("activeManifest", {})
    assertions = {each["label"]: each["data"] for each in manifest.get("assertions", [])}
    actions = assertions.get("c2pa.actions.v2", assertions.get("c2pa.actions", {})).get("actions", [])
    generators = manifest.get("claim_generator_info") or [{}]
    return Provenance(
        standing=Standing(state.lower()),
        problems=tuple(failure["code"] for failure in results.get("failure", [])),
        signer=str(signature.get("issuer", "")),
        certificate=str(signature.get("cert_serial_number", "")),
        generator=" ".join(str(generators[0].get(name, "")) for name in ("name", "version")).strip(),
        ai_generated=any(action.get("digitalSourceType") == AI_GENERATED for action in actions),
        generation=assertions.get(OWN_ASSERTION),
    )
