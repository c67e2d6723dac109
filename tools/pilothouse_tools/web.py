"""HTTP to configured environments only, by the rules against server-side request forgery (I39).

The host is resolved once, every address is judged, and the connection goes to the judged address itself, so that a
second answer of the name server changes nothing. No redirects, no proxies, no user information, a small body.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pilothouse.errors import ToolFailed, Unreachable

if TYPE_CHECKING:
    from pilothouse.canonical import Json

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_BODY = 64 * 1024
_NEVER = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")))
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # carrier-grade NAT
_NOWHERE = ipaddress.ip_network("0.0.0.0/8")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, body, and how many milliseconds it took."""

    status: int
    body: bytes
    ms: int


def address_problem(address: Address, *, allow_private: bool) -> str:
    """Why an address must not be connected to; empty where it may be.

    Metadata services, link-local, multicast, unspecified and reserved addresses are refused always; loopback and
    private ones unless ``allow_private``. Addresses that embed an IPv4 address are judged by it, too.
    """
    if address in _NEVER:
        return "is a metadata service"
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "is link-local"
        if inner := _embedded(address):
            if address.ipv4_mapped is None or not allow_private:
                return f"hides the address {inner}"
            return address_problem(inner, allow_private=allow_private)
    if address.is_link_local:
        return "is link-local"
    if address.is_multicast or address.is_unspecified:
        return "is multicast or unspecified"
    # The whole of 240.0.0.0/4 and 0.0.0.0/8 counts as private to `ipaddress`, too, but no host has these addresses.
    if isinstance(address, ipaddress.IPv4Address) and (address.is_reserved or address in _NOWHERE):
        return "is reserved"
    shared = isinstance(address, ipaddress.IPv4Address) and address in _SHARED
    private = address.is_loopback or address.is_private or shared
    if address.is_reserved and not private:
        return "is reserved"
    return "is private" if private and not allow_private else ""


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def join(base: str, path: str) -> str:
    """An environment's URL and a path of it. Raises ToolFailed("url-refused") where they are not of their form."""
    parts = urlsplit(base)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise ToolFailed(
            "url-refused",
            "the environment's URL must be http(s)://host[:port][/path], without user information",
            "Mend the environment's url in pilothouse.yml.",
        )
    if not base.isascii() or not base.isprintable() or any(mark in base for mark in " \\"):
        raise ToolFailed("url-refused", "the environment's URL holds characters that URLs cannot hold")
    if (
        not path.startswith("/")
        or path.startswith("//")
        or not path.isascii()
        or not path.isprintable()
        or any(m in path for m in " \\#")
    ):
        raise ToolFailed("url-refused", f"{path[:80]!r} is no absolute path")
    return base.rstrip("/") + path


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """The address to connect to, every address of the host judged.

    Raises:
        ToolFailed: ``address-refused``.
        Unreachable: the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable("environment-unreachable", f"the host {host} cannot be resolved: {error}") from None
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in texts:
        if problem := address_problem(ipaddress.ip_address(text), allow_private=allow_private):
            raise ToolFailed("address-refused", f"{host} resolves to {text}, which {problem}",
                             "For an environment on a private network: health.allow_private: true.")  # fmt: skip
    return texts[0]


def get(url: str, *, timeout: float, allow_private: bool) -> Answer:
    """GET a URL made by ``join``.

    Args:
        url: http or https.
        timeout: seconds for the whole exchange.
        allow_private: whether loopback and private addresses are meant.

    Raises:
        ToolFailed: ``url-refused``, ``address-refused``, ``answer-too-large``.
        Unreachable: ``environment-unreachable``.
    """
    import httpx2

    try:
        target = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ToolFailed(
            "url-refused", f"the environment's URL is none: {error}", "Mend it in pilothouse.yml."
        ) from None
    port = target.port or (443 if target.scheme == "https" else 80)
    address = resolve(target.host, port, allow_private=allow_private)
    headers = {"Host": target.netloc.decode("ascii"), "User-Agent": "pilothouse", "Accept-Encoding": "identity"}
    # The client reads every certificate authority of the machine, for plain HTTP, too, where each look would take
    # longer to begin than to be answered. There it gets a context that knows none and so would trust nobody.
    trust = True if target.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    began = time.monotonic()
    try:
        with (
            httpx2.Client(verify=trust, trust_env=False, follow_redirects=False, timeout=timeout) as client,
            client.stream(
                "GET", target.copy_with(host=address), headers=headers, extensions={"sni_hostname": target.host}
            ) as answer,
        ):
            body = bytearray()
            for part in answer.iter_raw():
                body += part
                if len(body) > _BODY:
                    raise ToolFailed("answer-too-large", f"{url} answers more than {_BODY} bytes")
                # The client's time-outs are per read: a server that drips would hold us for ever.
                if time.monotonic() - began > timeout:
                    raise Unreachable("environment-unreachable", f"{url} did not answer within {timeout:g} s")
            return Answer(answer.status_code, bytes(body), int((time.monotonic() - began) * 1000))
    except httpx2.HTTPError as error:
        raise Unreachable(
            "environment-unreachable", f"{url} does not answer: {type(error).__name__}: {error}"
        ) from None


def strict_json(body: bytes, what: str) -> dict[str, Json]:
    """One JSON object without duplicate keys, floats kept out of the way as text. Raises ToolFailed("bad-answer")."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_float=str, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise ToolFailed("bad-answer", f"{what} did not answer one JSON object: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise ToolFailed("bad-answer", f"{what} answered JSON, but no object")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")
