"""Places of the user's settings that packages come from, and which addresses may be asked through them."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from contracts.base.text import visible_line

_PORTS: Final = {"http": 80, "https": 443}
_ASKED: Final = re.compile(r"/([0-9a-f]{64})/(\d{1,3})/(https?)/([^/?#]+)(/[^#]*)?", re.ASCII)
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._:\[\]-]+", re.ASCII)
"""A host and a port. What has more in it is read as one host by some, and as another by others."""
_OF_THIS_MACHINE: Final = frozenset({"", "localhost", "ip6-localhost", "ip6-loopback"})
_SHOWN: Final = 200


class IndexRefused(Exception):
    """An address that is not asked. The text says which host, and why."""


class AskedHost(NamedTuple):
    """Whom a password is for."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class IndexSource:
    """An index, a registry or a page of links."""

    address: str
    """Without a password."""
    authorization: Callable[[str], str]
    """Address -> the header that is sent to it; "" for none."""


def origin(address: str) -> AskedHost:
    """Whom an address without a password asks.

    Raises IndexRefused for what is no address of HTTP, or asks somebody else for who will ask it.
    """
    try:
        parts, asks = urlsplit(address), parse_url(address)
        port, host = parts.port, (parts.hostname or "").lower()
    except (ValueError, LocationParseError):
        raise IndexRefused(f"{shown(address)!r} is no address of HTTP") from None
    if parts.scheme not in _PORTS or not _AUTHORITY.fullmatch(parts.netloc):
        raise IndexRefused(f"{shown(address)!r} is no address of HTTP")
    if (asks.scheme, (asks.host or "").strip("[]"), asks.port) != (parts.scheme, host, port):
        raise IndexRefused(f"{shown(address)!r} is no address of HTTP")
    return AskedHost(parts.scheme, host, port or _PORTS[parts.scheme])


def shown(address: str) -> str:
    """An address as it is told: without its password and what follows `?`, where addresses are signed."""
    bare = re.sub(r"//[^/?#]*@", "//", address.partition("#")[0].partition("?")[0])
    return visible_line(bare[:_SHOWN])


def without_password(address: str) -> tuple[str, str, str | None]:
    """An address without whom it is asked as: (address, user, password); "" and None where it has none."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    return parts._replace(netloc=host).geturl(), unquote(name), unquote(password) if colon else None


def check_step_to(source: IndexSource, before: str, target: str) -> None:
    """Check that a page, or an answer, of a source may lead to another address. Raises IndexRefused."""
    leads = f"{shown(source.address)} leads to {shown(target)}"
    there = origin(target)
    if there.scheme == "http" and origin(before).scheme == "https":
        raise IndexRefused(f"{leads}, which is not encrypted")
    if _is_near(there.host) and not _is_near(origin(source.address).host):
        raise IndexRefused(f"{leads}, which is within a network of yours")


def _is_near(host: str) -> bool:
    """Tell whether a host is named as one that only this machine or its network has."""
    name = host.rstrip(".")
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        pass
    try:
        # As the system reads `127.1` or `0x7f.1`.
        return not ipaddress.ip_address(socket.inet_aton(name)).is_global
    except OSError:
        return name in _OF_THIS_MACHINE or name.endswith((".localhost", ".localdomain"))


class Routes:
    """What may be asked: the hosts of the sources, and those that their pages link to.

    Each has one of the proxy's own, `BASE/KEY/NUMBER/SCHEME/HOST/PATH`, with the number of its source.
    """

    def __init__(self, sources: Sequence[IndexSource], base: str, key: str) -> None:
        self._sources, self._key = tuple(sources), key
        self._prefix = f"{base}/{key}"
        self._allowed = [{origin(one.address)} for one in sources]
        self._lock = threading.Lock()

    def local(self, number: int) -> str:
        """Where a source is asked."""
        return self._written(number, self._sources[number].address)

    def link(self, number: int, page: str, target: str) -> str:
        """What stands for a link of a source's page; the fragment stays. Raises IndexRefused."""
        target = without_password(target)[0]
        check_step_to(self._sources[number], page, target)
        with self._lock:
            self._allowed[number].add(origin(target))
        return self._written(number, target)

    def asked(self, path: str) -> tuple[int, IndexSource, str]:
        """What a path of the proxy asks for: the source and its address. Raises IndexRefused."""
        match = _ASKED.fullmatch(path)
        if match is None or match[1] != self._key or int(match[2]) >= len(self._sources):
            raise IndexRefused("this is asked by nobody who was given it")
        # Some programs write `%3A` before a port.
        number, host = int(match[2]), unquote(match[4])
        address = f"{match[3]}://{host}{match[5] or '/'}"
        with self._lock:
            if origin(address) not in self._allowed[number]:
                raise IndexRefused(f"no index of your settings links to host {visible_line(host)!r}")
        return number, self._sources[number], address

    def told(self, text: bytes) -> bytes:
        """What a program printed, with the addresses of the sources."""
        written = re.escape(self._prefix.encode()) + rb"/\d+/(https?)/([^/\s]+)"
        return re.sub(written, lambda one: one[1] + b"://" + unquote_to_bytes(one[2]), text)

    def _written(self, number: int, address: str) -> str:
        parts = urlsplit(address)
        start = f"{parts.scheme}://{parts.netloc}"
        return f"{self._prefix}/{number}/{parts.scheme}/{parts.netloc}{address[len(start) :] or '/'}"
