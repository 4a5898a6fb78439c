"""Signed receipts: a compact JWS (RFC 7515) with EdDSA (RFC 8037), by the platform's receipt key.

Whoever holds the public key can check one without us; the key's id is the first 16 hex digits of its SHA-256.
"""

import base64
import hashlib
import json
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tenants.platform_secrets import platform_secret

KEY_NAME: Final = "receipts"
TYPE: Final = "easel-receipt"


class BadReceipt(ValueError):
    """The receipt was altered, or it is not of this installation."""


def sign(statement: dict[str, Any]) -> str:
    """Needs the platform role."""
    key = _key()
    headers = {"typ": TYPE, "kid": _id_of(key.public_key())}
    return jwt.encode(statement, key, algorithm="EdDSA", headers=headers)


def check(receipt: str, public_key: dict[str, str] | None = None) -> dict[str, Any]:
    """What the receipt states. Without a key, that of this installation. Raises BadReceipt."""
    try:
        key = _key().public_key() if public_key is None else _from_jwk(public_key)
        statement: dict[str, Any] = jwt.decode(receipt.strip(), key, algorithms=["EdDSA"])
        if jwt.get_unverified_header(receipt.strip()).get("typ") != TYPE:
            raise BadReceipt("This is no receipt.")
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise BadReceipt("The receipt is not genuine.") from error
    return statement


def public_key() -> dict[str, str]:
    """As a JSON Web Key, for whoever wants to check receipts."""
    key = _key().public_key()
    x = base64.urlsafe_b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": _id_of(key), "use": "sig", "alg": "EdDSA"}


def as_text(statement: dict[str, Any]) -> str:
    return json.dumps(statement, indent=2, sort_keys=True)


def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(platform_secret(KEY_NAME, _new))


def _new() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def _from_jwk(key: dict[str, str]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))


def _id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]
