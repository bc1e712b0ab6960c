"""The services of models, over HTTP: sends prepared bodies with the keys that callers never see."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from contracts.base.errors import NotConfigured
from contracts.base.secrets.redaction import MARK, SHORTEST
from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.gateway.refusals import GatewayRefusal
from multi_agent.gateway.routes import ModelAddress
from multi_agent.models.adapters.connection import connection_error
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.http_body import PLAIN_ANSWERS
from multi_agent.models.adapters.retry_after import google_retry_delay, retry_after_seconds
from multi_agent.models.prices import Price
from multi_agent.models.services import SERVICES
from multi_agent.models.wire.canonical import FormatName
from multi_agent.models.wire.failures import WireFailure, read_failure

_MOST_CONNECTIONS: Final = 1_000
_MOST_ERROR_BYTES: Final = 65_536
_READ_BYTES: Final = 65_536
_VERSION: Final = {"anthropic-version": "2023-06-01"}
"""For a service of Anthropic's format whose caller said none."""


class Providers:
    """The services behind a gateway. Used in one event loop, and closed in it."""

    def __init__(self, endpoints: Mapping[str, Endpoint], price_of: Callable[[str, str], Price]) -> None:
        """Prepare them. Raises NotConfigured.

        endpoints: by kind of service; model and price of each are those of a request.
        price_of: what a model costs, by the kind of its service and its name.
        """
        for kind, endpoint in endpoints.items():
            if endpoint.proxy and urlsplit(endpoint.proxy).scheme not in ("http", "https"):
                raise NotConfigured(f"the gateway reaches {kind} through HTTP proxies alone, not SOCKS")
        self._endpoints = endpoints
        self._price_of = price_of
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the connections possible."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MOST_CONNECTIONS),
            headers=PLAIN_ANSWERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()

    def endpoint(self, address: ModelAddress) -> Endpoint:
        """Where a model is asked."""
        price = self._price_of(address.service, address.model)
        return replace(self._endpoints[address.service], model=address.model, price=price)

    @asynccontextmanager
    async def ask(
        self, sent: PreparedRequest, *, counts: bool, said: Mapping[str, str], beta: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; its answer, of which nothing was read yet. Leaving ends the request there too.

        said: headers in which a caller of the service's own format says what it wants.
        beta: whether its address said so.
        Raises GatewayRefusal for any other answer, and for none.
        """
        endpoint = self.endpoint(sent.address)
        assert self._session is not None, "open() comes first"
        url = _base(endpoint) + _path(sent, counts=counts) + ("?beta=true" if beta else "")
        headers = {
            **(_VERSION if sent.format == "anthropic" else {}),
            **said,
            **_key_header(sent.format, endpoint),
        }
        headers["Content-Type"] = "application/json"
        try:
            response = await self._session.post(
                URL(url, encoded=True),
                data=io.BytesIO(sent.body),
                headers=headers,
                proxy=endpoint.proxy,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _unreached(endpoint, error) from None
        try:
            if response.status != 200:
                raise await _refused(endpoint, response, sent.format)
            yield response
        finally:
            # What is not read to its end is of no use for another request; and the service shall stop.
            response.close()


def scrubbed(data: bytes, endpoint: Endpoint) -> bytes:
    """What a service said, without the key: something before it may echo what it was sent."""
    key = endpoint.key_text.encode()
    return data.replace(key, MARK.encode()) if len(key) >= SHORTEST else data


async def read_bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body of an answer. Raises GatewayRefusal for a larger one, and for half of one."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.content.iter_any():
            size += len(part)
            if size > most:
                said = f"the service answered with more than {most:,} bytes; ask for less at once"
                raise GatewayRefusal(WireFailure("server", said), is_final=True)
            parts.append(part)
    except aiohttp.ClientError as error:
        said = f"the service's answer broke off ({type(error).__name__})"
        raise GatewayRefusal(WireFailure("server", said)) from None
    return b"".join(parts)


def _base(endpoint: Endpoint) -> str:
    return (endpoint.base_url or SERVICES[endpoint.service].address).rstrip("/")


def _path(sent: PreparedRequest, *, counts: bool) -> str:
    match sent.format:
        case "anthropic":
            return "/v1/messages/count_tokens" if counts else "/v1/messages"
        case "chat":
            return "/chat/completions"
        case "responses":
            return "/responses/input_tokens" if counts else "/responses"
        case "gemini":
            method = "streamGenerateContent?alt=sse" if sent.streams else "generateContent"
            return (
                f"/v1beta/models/{quote(sent.address.model, safe='')}:{'countTokens' if counts else method}"
            )


def _key_header(name: FormatName, endpoint: Endpoint) -> dict[str, str]:
    key = endpoint.key_text
    if not key:
        return {}
    match name:
        case "anthropic":
            return {"x-api-key": key}
        case "gemini":
            return {"x-goog-api-key": key}
        case _:
            return {"Authorization": f"Bearer {key}"}


def _unreached(endpoint: Endpoint, error: Exception) -> GatewayRefusal:
    """The refusal where a service was not reached: an outage to the caller, whatever is to blame."""
    failure = WireFailure("overloaded", str(connection_error(endpoint, error)))
    return GatewayRefusal(failure, is_free=isinstance(error, aiohttp.ClientConnectorError))


async def _refused(endpoint: Endpoint, response: aiohttp.ClientResponse, name: FormatName) -> GatewayRefusal:
    raw = b""
    with suppress(aiohttp.ClientError):
        async for part in response.content.iter_any():
            raw += part
            if len(raw) > _MOST_ERROR_BYTES:
                break
    raw = scrubbed(raw, endpoint)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    body = body[0] if isinstance(body, list) and body else body
    failure = read_failure(body, response.status if response.status >= 400 else 502)
    if not isinstance(body, dict):
        failure = replace(failure, message=f"answered with status {response.status}, and gave no reason")
    if response.status in (401, 403):
        # Not the caller's key; and some services quote a part of theirs.
        said = f"{endpoint.service} refuses {endpoint.model!r} to the gateway; its operator must change that"
        return GatewayRefusal(WireFailure("permission", said), is_free=True)
    wait = retry_after_seconds(response.headers)
    wait = google_retry_delay(body) if wait is None else wait
    told = replace(failure, message=f"{endpoint.name}: {endpoint.scrub(failure.message)}")
    is_said = isinstance(body, dict) and body.get("error") and response.status >= 400
    passed = endpoint.redact(raw.decode("utf-8", "replace")).encode() if is_said else None
    is_free = response.status >= 400
    return GatewayRefusal(told, retry_after=wait, body=passed, status=response.status, is_free=is_free)
