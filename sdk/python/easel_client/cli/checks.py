"""What `easel doctor` looks at, in the order in which one thing needs another. Each check says what it found, and where
it found something wrong, why and what to do. The first failure usually explains the rest, so the rest is left out."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from easel_client import Easel, errors
from easel_client.cli import credentials
from easel_client.cli.connecting import NoConnection, connected
from easel_client.cli.credentials import Credentials, NoCredentials, UnreadableCredentials
from easel_client.cli.remedies import remedy_of
from easel_client.configuration import address_of
from easel_client.policy import NO_RETRIES

LEEWAY = 30  # seconds that Easel allows clocks to differ
NEEDED = ("generations:read", "generations:write")


@dataclass(frozen=True)
class Finding:
    check: str
    said: str
    remedy: str = ""
    bad: bool = False  # what follows cannot work
    warning: bool = False


class Stop(Exception):
    """Nothing after this can be found out."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(said)
        self.said, self.remedy = said, remedy


class Examination:
    """`sealed`: the secret is not sent, and what is asked of the account is sealed."""

    def __init__(
        self, *, sealed: bool = False, now: Callable[[], float] = time.time, http: httpx.Client | None = None
    ) -> None:
        self._sealed, self._now, self._given = sealed, now, http
        self._found: Credentials | None = None
        self._base_url = ""
        self._answer: httpx.Response | None = None
        self._account: Mapping[str, Any] | None = None
        self._granted: set[str] = set()

    def findings(self) -> Iterator[Finding]:
        """Ends after the first bad one."""
        checks = (
            ("credentials", self._credentials),
            ("address", self._address),
            ("connection", self._connection),
            ("clock", self._clock),
            ("service", self._service),
            ("key", self._key),
            ("scopes", self._scopes),
            ("account", self._account_open),
            ("models", self._models),
            ("credits", self._credits),
            ("quota", self._quota),
        )
        for name, check in checks:
            try:
                yield Finding(name, check())
            except Warned as warned:
                yield Finding(name, warned.said, warned.remedy, warning=True)
            except Stop as stop:
                yield Finding(name, stop.said, stop.remedy, bad=True)
                return

    # --- Here ------------------------------------------------------------------------------------------

    def _credentials(self) -> str:
        try:
            self._found = credentials.load()
        except NoCredentials as error:
            raise Stop(
                "There is no API key here.", "Run: easel login (or set EASEL_URL, EASEL_API_KEY, EASEL_API_SECRET)."
            ) from error
        except UnreadableCredentials as error:
            said, _, remedy = str(error).partition(". ")
            raise Stop(
                f"{said.rstrip('.')}.", remedy or "Make the file readable for yourself, or run: easel login"
            ) from error
        key = self._found.api_key
        if not key.startswith(("ek_live_", "ek_test_")):
            raise Stop(
                f"{key!r} is no API key: they begin with ek_live_ or ek_test_.",
                "Copy the key's id, and run: easel login",
            )
        if not self._found.api_secret.startswith("es_"):
            raise Stop(
                "What is kept as the secret is none: they begin with es_.", "Copy the secret, and run: easel login"
            )
        return f"{key}, from {self._found.source}"

    def _address(self) -> str:
        try:
            self._base_url = address_of(self._credentials_found.base_url)
        except ValueError as error:
            raise Stop(
                f"{self._credentials_found.base_url!r} is no address.",
                "It looks like https://easel.example. Run: easel login",
            ) from error
        parts = urlsplit(self._base_url)
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if _by_proxy(parts.scheme, parts.hostname or ""):
                raise Warned(f"The name {parts.hostname} is not known here; the proxy has to find it.", "") from error
            raise Stop(
                f"The name {parts.hostname} leads nowhere.",
                "Check the address and the name server, then run: easel login",
            ) from error
        return f"{parts.hostname} is {found[0][4][0]}"

    # --- On the way ------------------------------------------------------------------------------------

    def _connection(self) -> str:
        url = self._base_url + "/healthz"
        begun = time.monotonic()
        try:
            answer = self._http.get(url)
        except httpx.HTTPError as error:
            raise _unreachable(url, error) from error
        if not _is_easel(answer):
            kind = answer.headers.get("content-type", "no type")
            said = f"Something answers there that is not Easel (status {answer.status_code}, {kind})."
            raise Stop(said, "Check the port, and that a proxy in front leads to Easel's web process.")
        self._answer = answer
        return f"Easel answers after {(time.monotonic() - begun) * 1000:.0f} ms"

    def _clock(self) -> str:
        said = self._answer.headers.get("date", "") if self._answer else ""
        try:
            theirs = parsedate_to_datetime(said).timestamp()
        except (TypeError, ValueError):
            raise Warned("Easel did not say what time it is.", "") from None
        ahead = self._now() - theirs
        if abs(ahead) > LEEWAY:
            which = "ahead of" if ahead > 0 else "behind"
            raise Stop(
                f"This machine's clock is {abs(ahead):.0f} s {which} Easel's; tokens allow {LEEWAY} s.",
                "Set the clock: timedatectl set-ntp true (or the server's, if that one is wrong).",
            )
        return f"{abs(ahead):.0f} s apart"

    def _service(self) -> str:
        try:
            answer = self._http.get(self._base_url + "/readyz")
            checks = answer.json().get("checks", {})
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise Warned(f"/readyz does not say how Easel is ({type(error).__name__}).", "") from error
        failing = ", ".join(name for name, state in checks.items() if state != "ok")
        if answer.status_code != 200:
            raise Stop(
                f"Easel is not well: {failing or 'no part is named'}.", "Tell whoever runs it (make status; var/log)."
            )
        return "all parts are ready"

    # --- There -----------------------------------------------------------------------------------------

    def _key(self) -> str:
        return self._sealed_key() if self._sealed else self._token()

    def _sealed_key(self) -> str:
        """What is asked of Easel here is answered to a key with the right secret alone, which stays here."""
        try:
            with self._client() as easel:
                easel.models()
        except errors.InsufficientScope:
            pass  # it was let in
        except errors.APIError as error:
            raise Stop(
                f"Easel does not answer what is sealed with this key: {error}",
                remedy_of(error) or "Take a key and its secret from the console (API keys), then run: easel login",
            ) from error
        except (errors.EaselError, ImportError) as error:
            raise Stop(str(error), "") from error
        return "the key and its secret are good; the secret was not sent"

    def _token(self) -> str:
        found = self._credentials_found
        form = {"grant_type": "client_credentials", "client_id": found.api_key, "client_secret": found.api_secret}
        try:
            answer = self._http.post(f"{self._base_url}/oauth/token", data=form)
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Stop(
                "The token endpoint does not answer as it should.", "Check what stands between here and Easel."
            ) from error
        if answer.status_code == 200:
            self._granted = set(str(body.get("scope", "")).split())
            return "the key and its secret are good"
        code, said = (
            str(body.get("error") or body.get("code", "")),
            body.get("error_description") or body.get("detail", ""),
        )
        if code == "invalid_client":
            raise Stop(
                f"Easel does not accept the key with this secret: {said}",
                "Wrong, rotated, revoked or expired. Take one from the console (API keys), then run: easel login",
            )
        if code == "unauthorized_client":
            raise Stop(said, "Call from a network on the key's list, or change the list in the console (API keys).")
        raise Stop(f"No token was given: {said} ({code or answer.status_code})", "Try again later.")

    def _scopes(self) -> str:
        if self._sealed:
            raise Warned("They come with a token, and under seal none is asked for.", "")
        missing = [scope for scope in NEEDED if scope not in self._granted]
        if missing:
            raise Stop(
                f"The key may not draw: it lacks {', '.join(missing)}.", "Make a key with these scopes in the console."
            )
        return f"{len(self._granted)} scopes"

    def _account_open(self) -> str:
        try:
            with self._client() as easel:
                self._account = easel.account().raw
        except errors.InsufficientScope as error:
            raise Warned("The key lacks account:read, so credits and quotas stay unseen.", "") from error
        except errors.APIError as error:
            raise Stop(error.detail, remedy_of(error) or "Tell whoever runs this Easel.") from error
        except errors.EaselError as error:
            raise Stop(str(error), "Try again; if it stays, tell whoever runs this Easel.") from error
        return f"{self._account['name']}, plan {self._account['plan']['name']}"

    def _models(self) -> str:
        try:
            with self._client() as easel:
                found = easel.models()
        except errors.EaselError as error:
            raise Stop(str(error), remedy_of(error)) from error
        if not found:
            raise Stop(
                "There is no model that this account may use.", "Whoever runs Easel adds one: manage models add."
            )
        return f"{len(found)}, by itself it is {found[0].name}"

    def _credits(self) -> str:
        if self._account is None:
            raise Warned("not looked at", "")
        if self._credentials_found.api_key.startswith("ek_test_"):
            return "a test key draws for free"
        spend, available = self._account["spend"], int(self._account["wallet"]["available"])
        if spend["cap"] is not None and spend["this_month"] >= spend["cap"]:
            raise Stop(
                f"The month's spend cap of {spend['cap']} credits is reached.",
                "Raise it in the console, or wait for the next month.",
            )
        if available <= 0:
            raise Stop(
                "There are no credits left.", "Buy or ask for credits; the plan's own come with its next period."
            )
        return f"{available} available"

    def _quota(self) -> str:
        if self._account is None:
            raise Warned("not looked at", "")
        for span, quota in self._account["quotas"].items():
            if quota["allowed"] is not None and quota["used"] >= quota["allowed"]:
                said = f"All {quota['allowed']} generations of this {span} are used."
                raise Stop(said, f"It begins anew at {quota['resets_at']}; a larger plan has more.")
        return "not used up"

    @property
    def _credentials_found(self) -> Credentials:
        assert self._found is not None  # noqa: S101  the first check ends everything otherwise
        return self._found

    @cached_property
    def _http(self) -> httpx.Client:
        try:
            return self._given or connected(lambda: httpx.Client(timeout=10.0))
        except NoConnection as error:
            raise Stop(f"{error}.", remedy_of(error)) from error

    def _client(self) -> Easel:
        found = self._credentials_found
        return Easel(self._base_url, found.api_key, found.api_secret, sealed=self._sealed, retry=NO_RETRIES)


class Warned(Exception):
    """Worth telling; the rest can still be found out."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(said)
        self.said, self.remedy = said, remedy


def _by_proxy(scheme: str, host: str) -> bool:
    """Whether the environment sends such calls through a proxy, which looks names up itself."""
    proxies = getproxies()
    return (scheme in proxies or "all" in proxies) and not proxy_bypass(host)


def _is_easel(answer: httpx.Response) -> bool:
    try:
        return answer.status_code == 200 and answer.json() == {"status": "ok"}
    except ValueError:
        return False


def _unreachable(url: str, error: httpx.HTTPError) -> Stop:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Stop(
                f"The certificate is not trusted: {cause.verify_message}.",
                "Check the address; for a CA of your own set SSL_CERT_FILE.",
            )
        if isinstance(cause, ssl.SSLError):
            return Stop(
                "TLS is spoken here and not there.",
                "Begin the address with http://, or put a TLS proxy in front. Run: easel login",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return Stop(
            f"{url} does not answer within 10 s.", "A firewall may drop what is sent. Check the address and the port."
        )
    if isinstance(error, httpx.ConnectError):
        return Stop(f"Nothing listens at {url}: {error}.", "Start Easel (make up), or check the address and the port.")
    if isinstance(error, httpx.ProxyError):
        return Stop(f"The proxy of this machine refuses: {error}.", "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.")
    return Stop(
        f"The connection broke: {error or type(error).__name__}.",
        "Is it https:// there? Check the address and what stands between.",
    )
