"""Asks indexes, by the user's own way into the network, and follows their answers elsewhere by our rule."""

from __future__ import annotations

import ipaddress
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, make_headers

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.indexes.sources import (
    IndexRefused,
    IndexSource,
    check_step_to,
    origin,
    without_password,
)

_ELSEWHERE: Final = frozenset({301, 302, 303, 307, 308})
_MOST_STEPS: Final = 5
_AGAIN: Final = Retry(3, redirect=False, backoff_factor=0.2, respect_retry_after_header=False)
"""Where there is no answer. It reads all of those that it repeats, so answers are repeated here."""
_PASSING: Final = frozenset({429, 500, 502, 503, 504, 520, 524})
_WAITS: Final = (0.0, 0.4, 0.8)
"""Seconds before each time that it is asked again."""
_CONNECT_SECONDS: Final = 15.0
_POOL: Final = 16


@dataclass(frozen=True, slots=True)
class NetworkWay:
    """The user's own way into the network."""

    authorities: str = ""
    """A file, or a folder, with certificates that are trusted; "" for the system's."""
    more_authorities: str = ""
    """Certificates that are trusted as well: a file, or PEM."""
    client_certificate: str = ""
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Scheme -> the address of the proxy, with its password."""
    without_proxy: tuple[str, ...] = ()
    """Hosts, ends of names and networks that are asked directly."""
    unverified: frozenset[str] = frozenset()
    """Hosts whose certificates are not looked at; `*` for all."""
    seconds: float = 60.0
    """How long it waits for the next part of an answer."""


class Upstream:
    """Asks addresses of sources. Used by several threads."""

    def __init__(self, way: NetworkWay) -> None:
        """Raises InvalidInput for certificates that cannot be read."""
        self._way = way
        self._contexts = {verified: _context(way, verified=verified) for verified in (True, False)}
        self._pools: dict[tuple[str, bool], PoolManager] = {
            (proxy, verified): self._pool(proxy, verified)
            for proxy in {"", *way.proxies.values()}
            for verified in self._contexts
        }

    def get(
        self, source: IndexSource, address: str, headers: Mapping[str, str]
    ) -> tuple[BaseHTTPResponse, str]:
        """Ask: the answer, of which the content is not read, and the address that gave it in the end.

        A password goes to whom it is for, and to nobody that an answer leads to. Raises IndexRefused for
        an answer that leads where it may not; HTTPError of urllib3.
        """
        asked = origin(address)
        for _ in range(_MOST_STEPS + 1):
            authorization = source.authorization(address) if origin(address) == asked else ""
            sent = {**headers, **({"Authorization": authorization} if authorization else {})}
            response = self._asked(address, sent)
            target = response.headers.get("Location")
            if response.status not in _ELSEWHERE or not target:
                return response, address
            response.close()
            try:
                target = without_password(urljoin(address, target))[0]
            except ValueError:
                raise IndexRefused("it leads to what is no address") from None
            check_step_to(source, address, target)
            address = target
        raise IndexRefused(f"it leads elsewhere more than {_MOST_STEPS} times")

    def _asked(self, address: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        pool = self._pool_of(address)
        for wait in (*_WAITS, None):
            response = pool.request(
                "GET", address, headers=headers, preload_content=False, redirect=False, retries=_AGAIN
            )
            if wait is None or response.status not in _PASSING:
                break
            response.close()
            time.sleep(wait)
        return response

    def close(self) -> None:
        """Close what is kept open."""
        for pool in self._pools.values():
            pool.clear()

    def _pool_of(self, address: str) -> PoolManager:
        scheme, host, _ = origin(address)
        unverified = self._way.unverified & {"*", host, urlsplit(address).netloc}
        proxy = "" if _is_direct(host, self._way.without_proxy) else self._way.proxies.get(scheme, "")
        return self._pools[proxy, not unverified]

    def _pool(self, proxy: str, verified: bool) -> PoolManager:
        context, timeout = self._contexts[verified], Timeout(_CONNECT_SECONDS, self._way.seconds)
        if not proxy:
            return PoolManager(_POOL, maxsize=_POOL, ssl_context=context, timeout=timeout)
        bare, user, password = without_password(proxy)
        headers = make_headers(proxy_basic_auth=f"{user}:{password or ''}") if user else None
        return ProxyManager(
            bare, _POOL, proxy_headers=headers, maxsize=_POOL, ssl_context=context, timeout=timeout
        )


def _context(way: NetworkWay, *, verified: bool) -> ssl.SSLContext:
    try:
        context = _trusting(way.authorities)
        if way.more_authorities.lstrip().startswith("-----"):
            context.load_verify_locations(cadata=way.more_authorities)
        elif way.more_authorities:
            context.load_verify_locations(way.more_authorities)
        if way.client_certificate:
            context.load_cert_chain(way.client_certificate)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"a certificate that your settings of pip or npm name cannot be read: {error}"
        ) from None
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(authorities: str) -> ssl.SSLContext:
    if not authorities:
        return ssl.create_default_context()
    if os.path.isdir(authorities):
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)


def _is_direct(host: str, without_proxy: tuple[str, ...]) -> bool:
    for entry in without_proxy:
        name = entry.partition(":")[0].lstrip("*").lstrip(".").lower() if entry != "*" else host
        if name and (host == name or host.endswith(f".{name}")):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False
