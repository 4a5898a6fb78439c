"""How a client is set up: what is given, or else what the environment says."""

from __future__ import annotations

import os
from dataclasses import dataclass

from easel_client.breaker import CircuitBreaker
from easel_client.conversation import Session
from easel_client.policy import RetryPolicy, Timeouts
from easel_client.sealing import Sealer
from easel_client.tokens import FetchedTokens, SignedTokens, Tokens

URL, KEY, SECRET = "EASEL_URL", "EASEL_API_KEY", "EASEL_API_SECRET"


@dataclass(frozen=True)
class Configuration:
    base_url: str
    session: Session


def configuration(
    base_url: str | None,
    api_key: str | None,
    api_secret: str | None,
    *,
    self_signed: bool,
    sealed: bool | str,
    retry: RetryPolicy | None,
    timeouts: Timeouts | None,
    breaker: CircuitBreaker | None,
) -> Configuration:
    """Raises ValueError that names what is missing."""
    key_id, secret = _given(api_key, "api_key", KEY), _given(api_secret, "api_secret", SECRET)
    url = _given(base_url, "base_url", URL).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"base_url begins with http:// or https://, {url!r} does not.")
    algorithm = "sm4-gcm" if sealed is True else sealed or ""
    # Who seals does not trust what is on the way, so the secret stays here.
    tokens: Tokens = SignedTokens(key_id, secret) if self_signed or algorithm else FetchedTokens()
    session = Session(
        key_id=key_id,
        secret=secret,
        tokens=tokens,
        retry=retry or RetryPolicy(),
        timeouts=timeouts or Timeouts(),
        breaker=breaker or CircuitBreaker(),
        sealer=Sealer(key_id, secret, algorithm) if algorithm else None,
    )
    return Configuration(url, session)


def _given(value: str | None, name: str, variable: str) -> str:
    found = value or os.environ.get(variable, "")
    if not found:
        raise ValueError(f"{name} is missing: give it, or set {variable}.")
    return found
