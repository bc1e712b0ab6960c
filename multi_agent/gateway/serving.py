"""Listens for callers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from contracts.base.errors import NotConfigured
from contracts.base.processes.command_lines import command_line
from contracts.base.processes.hosts import is_loopback
from multi_agent.gateway.connections import IDLE_SECONDS, CallerServer
from multi_agent.gateway.gateway import Gateway

_SHUTDOWN_SECONDS: Final = 5.0
"""For streams that are under way when the gateway is stopped."""


def check_place(host: str, *, has_keys: bool) -> None:
    """Raise NotConfigured for a place that others reach, unless callers must show keys."""
    if has_keys or is_loopback(host):
        return
    raise NotConfigured(
        f"the gateway does not listen at {host!r} without keys, since whoever reaches it could ask at your "
        f"cost; make keys with `{command_line('gateway-key', 'NAME')}`, and name their file with --keys"
    )


def check_free(host: str, port: int) -> None:
    """Raise NotConfigured for a place that cannot be listened at now."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except (OSError, UnicodeError) as error:
        raise _taken(host, port, error) from None


def _taken(host: str, port: int, error: Exception) -> NotConfigured:
    reason = getattr(error, "strerror", None) or error
    return NotConfigured(
        f"the gateway cannot listen at {host}:{port}: {reason}; choose another --port or --host"
    )


@asynccontextmanager
async def listening(gateway: Gateway, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the block runs; the URL. Raises NotConfigured for a place that cannot be listened at."""
    check_place(host, has_keys=gateway.keys is not None)
    # With cancellation a caller that hangs up ends what the service does for it.
    server = CallerServer(
        gateway.handle,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        keepalive_timeout=IDLE_SECONDS,
    )
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
    await gateway.providers.open()
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, UnicodeError) as error:
            raise _taken(host, port, error) from None
        address = runner.addresses[0]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"http://{shown}:{address[1]}"
    finally:
        await runner.cleanup()
        await gateway.providers.close()
