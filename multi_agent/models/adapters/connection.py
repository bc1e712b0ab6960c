"""Says in one line why a service was not reached, and whether a setting is to blame."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from contracts.base.errors import ModelUnavailable, MultiAgentError, NotConfigured
from multi_agent.models.adapters.endpoint import Endpoint, host_of

_MOST_LINKS: Final = 20
_HOSTNAME_MISMATCH: Final = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another host name or address."""
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"}
)
"""OpenSSL's reasons when what answers is something else than TLS."""


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The error, what led to it, and so on to the innermost; of several at once the first."""
    link: BaseException | None = error
    for _ in range(_MOST_LINKS):
        if link is None:
            return
        yield link
        link = (
            link.exceptions[0] if isinstance(link, BaseExceptionGroup) else link.__cause__ or link.__context__
        )


def connection_error(endpoint: Endpoint, error: BaseException) -> MultiAgentError:
    """Make the error for a call that came to no answer: NotConfigured where only a setting can help."""
    chain = list(chain_of(error))
    for cause in chain:
        if wrong := _wrong_setting(endpoint, cause):
            return NotConfigured(f"{endpoint.where}: {wrong}")
    unsent = any(isinstance(cause, ConnectionRefusedError | socket.gaierror) for cause in chain)
    return ModelUnavailable(f"{endpoint.where}: {_said(endpoint, chain)}", unsent=unsent)


def _wrong_setting(endpoint: Endpoint, cause: BaseException) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        # These fields are missing where the error was not made by OpenSSL.
        if getattr(cause, "verify_code", None) in _HOSTNAME_MISMATCH:
            return f"the certificate is for another name; put that name into {endpoint.url_setting}"
        reason = getattr(cause, "verify_message", "unknown")
        return f"the certificate is not trusted ({reason}); name the file of its authority in SSL_CERT_FILE"
    if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NO_TLS:
        return f"no TLS is spoken there; begin {endpoint.url_setting} with http://, or name another port"
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
        if endpoint.proxy:
            return "there is no such host; correct or unset the proxy (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)"
        if endpoint.base_url:
            return f"there is no host {host_of(endpoint.base_url)}; correct {endpoint.url_setting}"
    return None


def _said(endpoint: Endpoint, chain: list[BaseException]) -> str:
    """The words of the innermost error that has any."""
    for cause in reversed([link for link in chain if not isinstance(link, BaseExceptionGroup)]):
        if isinstance(cause, OSError) and cause.strerror:
            # asyncio writes the address into it, which stands before already.
            refused = isinstance(cause, ConnectionRefusedError)
            return "connection refused; nothing listens there" if refused else cause.strerror
        if cause.args and (said := endpoint.scrub(str(cause))):
            return f"no usable answer ({type(cause).__name__}: {said})"
    return f"no usable answer ({type(chain[0]).__name__})"
