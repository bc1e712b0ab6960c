"""JSON over HTTP with bounds: on size, on time in all, and on where a token goes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from contracts.base.errors import InvalidDocument, InvalidInput, Unavailable
from contracts.base.strict_json import read_json
from multi_agent.forges.timed import TimedHttp, TimedHttps

SECONDS: Final = 20.0
MOST_BYTES: Final = 2_000_000
_MOST_REDIRECTS: Final = 3
_PIECE: Final = 65_536
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    value: Any
    """The JSON document; None where there is none."""


class ForgeHttp:
    """Calls one server. A redirect is followed within it only, so no token leaves it."""

    def __init__(self, headers: Mapping[str, str], *, seconds: float = SECONDS) -> None:
        """`headers` of every call, the token among them."""
        self._headers = {"Accept": "application/json", "User-Agent": "multi-agent", **headers}
        self._seconds = seconds

    def call(self, method: str, url: str, body: object = None) -> Answer:
        """Call, and read the answer. Raises Unavailable, InvalidInput for an answer that is no JSON."""
        until = time.monotonic() + self._seconds
        origin = urlsplit(url)[:2]
        for _ in range(_MOST_REDIRECTS + 1):
            status, place, content = self._once(method, url, body, until)
            if status not in _REDIRECTS or method != "GET":
                return Answer(status, _json(url, content))
            url = urljoin(url, place)
            if urlsplit(url)[:2] != origin:
                raise InvalidInput(f"{_shown(url)}: {'://'.join(origin)} redirects there; name that address")
        raise Unavailable(f"{_shown(url)}: redirects again and again")

    def _once(self, method: str, url: str, body: object, until: float) -> tuple[int, str, bytes]:
        sent = None if body is None else json.dumps(body).encode()
        more = {} if sent is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 - addresses.py takes http and https alone
            url, data=sent, headers={**self._headers, **more}, method=method
        )
        try:
            with _OPENER.open(request, timeout=max(until - time.monotonic(), 0.1)) as answer:
                return answer.status, answer.headers.get("Location", ""), _read(answer, url)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            said = "did not answer in time" if isinstance(reason, TimeoutError) else reason
            raise Unavailable(f"{_shown(url)}: {said}; try again later") from None


class _NoErrors(urllib.request.HTTPErrorProcessor):
    """Hands every answer out as it is: redirects and errors are looked at here."""

    def http_response(self, request: urllib.request.Request, response: HTTPResponse) -> HTTPResponse:
        return response

    https_response = http_response


_OPENER: Final = urllib.request.build_opener(_NoErrors, TimedHttp, TimedHttps)


def _read(answer: HTTPResponse, url: str) -> bytes:
    """Read what there is, within the bound."""
    content = bytearray()
    while piece := answer.read1(_PIECE):
        content += piece
        if len(content) > MOST_BYTES:
            raise InvalidInput(f"{_shown(url)}: answered with more than {MOST_BYTES:,} bytes")
    return bytes(content)


def _json(url: str, content: bytes) -> Any:
    if not content:
        return None
    try:
        return read_json(content, "answer", max_bytes=MOST_BYTES)
    except InvalidDocument:
        raise InvalidInput(f"{_shown(url)}: is no server of this kind; it sent no JSON") from None


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
