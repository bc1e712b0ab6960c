"""Serving a data folder: joining what serves it already, or starting everything for the time of a call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from multi_agent.bootstrap import make_model, sandbox_settings
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings

_log = logging.getLogger(__name__)


@asynccontextmanager
async def served(settings: Settings, modules: Sequence[str]) -> AsyncIterator[None]:
    """Serve the data folder while the `with` body runs.

    Raises NotConfigured and SandboxUnavailable before anything starts that could only fail later.
    """
    await make_model(settings).close()
    await _check_sandbox(settings)
    stack = Stack(settings, _log.info, modules=modules)
    await stack.start()
    try:
        async with stack.kept_served():
            yield
    finally:
        await stack.stop()


async def _check_sandbox(settings: Settings) -> None:
    from sandbox_runner import choose_sandbox  # noqa: PLC0415 - heavy

    await (await choose_sandbox(sandbox_settings(settings))).close()
