"""How a client is set up: what is given, or else what the environment says."""

from __future__ import annotations

import os
from dataclasses import dataclass

import httpx

from easel_client.breaker import CircuitBreaker
from easel_client.conversation import Session
from easel_client.policy import RetryPolicy, Timeouts
from easel_client.sealing import Sealer
from easel_client.tokens import FetchedTokens, SignedTokens, Tokens

URL, KEY, SECRET = "EASEL_URL", "EASEL_API_KEY", "EASEL_API_SECRET"
LAST_PORT = 65535


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
    """Raises ValueError that names what is missing or wrong."""
    key_id, secret = _given(api_key, "api_key", KEY), _given(api_secret, "api_secret", SECRET)
    url = address_of(_given(base_url, "base_url", URL))
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


def address_of(given: str) -> str:
    """An address of an Easel, without the slash at its end. Raises ValueError."""
    url = given.strip().rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"base_url begins with http:// or https://, {url!r} does not.")
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"base_url is no address: {url!r} ({error}).") from error
    if parts.userinfo:
        raise ValueError("base_url has a name and a password in it, which would be sent in place of the token.")
    if parts.query or parts.fragment:
        raise ValueError(f"base_url ends with its path, {url!r} does not.")
    port = 80 if parts.port is None else parts.port
    if not parts.host or " " in url or not 0 < port <= LAST_PORT:
        raise ValueError(f"base_url is no address: {url!r}.")
    return url


def _given(value: str | None, name: str, variable: str) -> str:
    found = (value or os.environ.get(variable, "")).strip()
    if not found:
        raise ValueError(f"{name} is missing: give it, or set {variable}.")
    return found
