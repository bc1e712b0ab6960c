"""Serving a data folder: joining what serves it already, or starting everything for the time of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from multi_agent.bootstrap import check_model, choose_sandbox, sandbox_settings
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings

logger = structlog.get_logger(__name__)


@asynccontextmanager
async def served(settings: Settings, modules: Sequence[str]) -> AsyncIterator[None]:
    """Serve the data folder while the `with` body runs.

    Raises NotConfigured, ModelUnavailable and SandboxUnavailable before anything starts that could only
    fail later.
    """
    for line in await check_model(settings):
        logger.warning("model_of_list_unusable", reason=line)
    await (await choose_sandbox(sandbox_settings(settings))).close()
    stack = Stack(settings, _log_report, modules=modules)
    await stack.start()
    try:
        async with stack.kept_served():
            yield
    finally:
        await stack.stop()


def _log_report(text: str) -> None:
    logger.info("data_folder_served", report=text)
