"""Executing workflows with what serves the data folder already, or with everything started for the time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from contracts.base.errors import InvalidInput, MultiAgentError
from multi_agent.bootstrap import make_model, sandbox_settings
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def served(settings: Settings, modules: Sequence[str]) -> AsyncIterator[None]:
    """Have an orchestrator and workers for the body's time.

    Raises NotConfigured and SandboxUnavailable before anything starts that could only fail later.
    """
    await make_model(settings).close()
    await _check_sandbox(settings)
    stack = Stack(settings, _log.info, modules=modules)
    await stack.start()
    keeping = asyncio.create_task(_keep_served(stack))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await stack.stop()


async def _check_sandbox(settings: Settings) -> None:
    from sandbox_runner import choose_sandbox  # noqa: PLC0415 - heavy

    await (await choose_sandbox(sandbox_settings(settings))).close()


async def _keep_served(stack: Stack) -> None:
    """Take over when those who serve the folder are gone."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await stack.take_over()
        except (MultiAgentError, OSError) as error:
            _log.warning("cannot take over yet: %s", error)


async def ended(client: WorkflowClient, workflow_id: str) -> WorkflowView:
    """Wait until the workflow has ended, or until nothing goes on before a person decides."""
    async for view in client.follow(workflow_id):
        if is_over(view) and not await client.has_waiting_commands(workflow_id):
            # A command may have been applied between the two looks.
            newest = await client.workflow(workflow_id)
            if newest is not None and is_over(newest):
                return newest
    raise InvalidInput(f"workflow {workflow_id} cannot be followed any further")


def is_over(view: WorkflowView) -> bool:
    """Whether the workflow has ended, or goes on only when a person decides."""
    return view.header.status.terminal or view.stands_still
