"""Calls to addresses that a customer gave, guarded against server-side request forgery.

The host is resolved once, every address it has is checked, and the connection goes to a checked one: a name that
resolves to something else a moment later changes nothing (DNS rebinding). TLS still names and verifies the host.
Redirects are followed only on request, each checked anew. One deadline holds for the whole call, so that a receiver
that drips bytes cannot hold a thread. Proxies of the environment are not used: they would resolve the name themselves.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException
from io import BufferedReader, RawIOBase
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from django.conf import settings

from easel import __version__

LONGEST_URL: Final = 2048
OPEN_PORTS: Final = {80, 443}  # and all from 1024: below live mail, name and login servers
REDIRECTS: Final = {301, 302, 303, 307, 308}
LOOKUP_SECONDS: Final = 5.0  # for a form's check
_CHUNK: Final = 65_536
# One that is left to itself goes on for as long as the resolver tries: more than all callers leave behind in that time.
_lookups: Final = ThreadPoolExecutor(64, thread_name_prefix="lookup")
_UNSAFE: Final = frozenset(map(chr, [*range(0x21), 0x5C, 0x7F]))  # browsers and libraries disagree about a backslash

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

# Addresses that look public, and reach into the network we stand in or nowhere.
_INWARD: Final = [
    ipaddress.ip_network("192.0.0.0/24"),  # protocol assignments: only parts of it are private to our Python
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's platform address, as if link-local
    ipaddress.ip_network("3fff::/20"),  # documentation, RFC 9637: newer than our Python's own list
]
_UNICAST: Final = ipaddress.ip_network("2000::/3")  # all of IPv6 that is routed; site-local and others lie outside
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class RefusedAddress(Exception):
    """A URL that we do not call. Permanent, until the URL or the host's addresses change; `reason` may be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreachable(Exception):
    """Nobody answered properly in time. Another attempt may help; `reason` may be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` are in lower case, the last of a repeated name counts; `body` ends at `max_bytes`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    url: str  # where it came from, after redirects


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: what is connected to, what is named, what is asked for."""

    scheme: str
    host: str  # in ASCII
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host header."""
        named = f"[{self.host}]" if ":" in self.host else self.host
        return named if self.port == _default_port(self.scheme) else f"{named}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request of the chain that redirects make."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> Target:
        return parse(self.url)

    def redirected(self, status: int, url: str) -> "_Call":
        """RFC 9110, section 15.4. Headers may hold credentials and stay with their origin."""
        before, after = self.target, parse(url)
        if before.scheme == "https" and after.scheme == "http":
            raise RefusedAddress("The redirect leads from https to http.")
        headers = self.headers if before.origin == after.origin else {}
        if status in {301, 302, 303} and self.method != "HEAD":
            return _Call("GET", url, headers, b"")
        return _Call(self.method, url, headers, self.body)


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10.0,
    max_bytes: int = 65_536,
    allow_private: bool = False,
    redirects: int = 0,
    resolver: Resolver | None = None,
) -> Answer:
    """Call the URL. Raises RefusedAddress before anything is sent there, Unreachable when no proper answer came.

    `timeout` (seconds) is for everything together. `allow_private` is for addresses that the operator wrote, never for
    a customer's.
    """
    deadline = time.monotonic() + timeout
    call = _Call(method, url, dict(headers or {}), body)
    while True:
        address = _checked(
            call.target, allow_private=allow_private, resolver=resolver or resolve, seconds=deadline - time.monotonic()
        )
        answer = _exchange(call, address, deadline=deadline, max_bytes=max_bytes)
        onward = answer.headers.get("location")
        if answer.status not in REDIRECTS or onward is None or redirects <= 0:
            return answer
        redirects -= 1
        call = call.redirected(answer.status, urljoin(call.url, onward))


def check(url: str, *, resolver: Resolver | None = None) -> None:
    """Raise RefusedAddress if a call to this URL would be refused now, Unreachable if its host has no address. For
    forms: the call itself checks again."""
    _checked(parse(url), allow_private=False, resolver=resolver or resolve, seconds=LOOKUP_SECONDS)


def parse(url: str) -> Target:
    """The parts of an http(s) URL; RefusedAddress names the rule it breaks."""
    if len(url) > LONGEST_URL:
        raise RefusedAddress(f"A URL has at most {LONGEST_URL} characters.")
    if not _UNSAFE.isdisjoint(url):
        raise RefusedAddress("A URL holds no space, control character or backslash.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        ascii_host = host if ":" in host else host.encode("idna").decode().rstrip(".")
    except (ValueError, UnicodeError) as error:
        raise RefusedAddress("This is not a URL.") from error
    if parts.scheme not in {"http", "https"}:
        raise RefusedAddress("A URL begins with https:// or http://.")
    if "@" in parts.netloc:
        raise RefusedAddress("A URL holds no user name or password.")
    if not ascii_host:
        raise RefusedAddress("The URL names no host.")
    port = _default_port(parts.scheme) if port is None else port
    if port not in OPEN_PORTS and port < 1024:
        raise RefusedAddress(f"Port {port} is not called; 80, 443 and those from 1024 are.")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~-._')}" if parts.query else ""
    return Target(parts.scheme, ascii_host, port, path + query)


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host, as the system resolves it. It also reads `127.1` and `0x7f000001` as addresses."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def refusal(text: str) -> str:
    """Why this address is not called; empty: it may be."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "an address that cannot be read"
    for inner in (address, *_embedded(address)):
        if any(inner in network for network in _allowed()):
            continue
        if reason := _inward(inner):
            return reason
    return ""


def _inward(address: Address) -> str:
    if _embedded(address):
        return ""  # judged by the addresses inside
    for is_so, name in (
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (address.is_unspecified or address.is_reserved, "a reserved address"),
        (address.is_private or not address.is_global, "a private address"),
        (any(address in network for network in _INWARD), "a private address"),
        (address.version == 6 and address not in _UNICAST, "a reserved address"),
    ):
        if is_so:
            return name
    return ""


def _embedded(address: Address) -> list[Address]:
    """The IPv4 addresses that a packet to this IPv6 address would reach by translation or a tunnel."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address] = [part for part in (address.ipv4_mapped, address.sixtofour) if part is not None]
    inner += list(address.teredo or ())
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return inner


def _allowed() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(word, strict=False) for word in settings.OUTBOUND_ALLOW]


def _checked(target: Target, *, allow_private: bool, resolver: Resolver, seconds: float) -> str:
    """One address of the host, after all were checked: a host with one forbidden address is forbidden. The system's
    resolver knows no deadline, so it is asked by a thread that is left to itself when `seconds` are over."""
    try:
        addresses = _lookups.submit(resolver, target.host, target.port).result(timeout=max(0.0, seconds))
    except TimeoutError as error:
        raise Unreachable(f"The address of {target.host} was not found in time.") from error
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"The host {target.host} has no address.") from error
    if not addresses:
        raise Unreachable(f"The host {target.host} has no address.")
    reasons = [] if allow_private else [reason for address in addresses if (reason := refusal(address))]
    if reasons:
        raise RefusedAddress(f"The host {target.host} has {reasons[0]}, which is not called.")
    return addresses[0]


def _exchange(call: _Call, address: str, *, deadline: float, max_bytes: int) -> Answer:
    target = call.target
    connection = HTTPConnection(target.host, target.port)
    line: _Line | None = None
    try:
        # What http.client asks of a socket is sendall, makefile and close: `_Line` gives them a common deadline.
        connection.sock = line = _Line(target, address, deadline)
        fixed = {"Host": target.authority, "Connection": "close", "Accept-Encoding": "identity"}
        named = {"User-Agent": f"Easel/{__version__}", **call.headers, **fixed}
        connection.request(call.method, target.path, body=call.body or None, headers=named)
        response = connection.getresponse()
        read = _read(response, max_bytes + 1)
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, read[:max_bytes], len(read) > max_bytes, call.url)
    except ssl.SSLError as error:
        raise Unreachable(f"TLS with {target.host} failed: {_reason(error)}.") from error
    except TimeoutError as error:
        raise Unreachable(f"{target.host} did not answer in time.") from error
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{target.host} did not answer properly.") from error
    finally:
        connection.close()
        if line is not None:
            line.end()


def _read(response: Any, at_most: int) -> bytes:
    parts, length = [], 0
    while length < at_most and (part := response.read(min(_CHUNK, at_most - length))):
        parts.append(part)
        length += len(part)
    return b"".join(parts)


class _Line:
    """A connection to a checked address: each send and receive may take what is left until the deadline."""

    def __init__(self, target: Target, address: str, deadline: float) -> None:
        self._deadline = deadline
        plain = socket.create_connection((address, target.port), timeout=self._left())
        try:
            self._socket = _tls().wrap_socket(plain, server_hostname=target.host) if target.scheme == "https" else plain
        except BaseException:
            plain.close()
            raise

    def sendall(self, data: Any) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def makefile(self, mode: str, *_: object) -> BufferedReader:
        return BufferedReader(_Incoming(self))

    def receive_into(self, buffer: Any) -> int:
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """http.client calls it as soon as it has read the head of an answer that ends the connection: the body is
        still to come. `end` closes."""

    def end(self) -> None:
        self._socket.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The time for this call is over.")
        return left


class _Incoming(RawIOBase):
    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive_into(buffer)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Reading the system's authorities takes longer than a call. SSL_CERT_FILE names others."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or (error.reason or "no reason given").lower().replace("_", " ")


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
