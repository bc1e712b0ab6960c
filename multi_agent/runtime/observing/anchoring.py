"""Anchors the heads of the audit log, again and again, and tells them to whom the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from contracts.base.errors import MultiAgentError
from contracts.ports.artifacts import AnchorStore
from multi_agent.application.audit.anchors import AnchorText, anchor_heads
from multi_agent.runtime.observing.hooks import Hook, tell

if TYPE_CHECKING:
    from orchestrator.client.audit_log import AuditLog

logger = structlog.get_logger(__name__)

ANCHOR_SECONDS: Final = 10.0
_LAST_SECONDS: Final = 5.0
"""How long the anchor at the end may take."""


class Anchoring:
    """Each look anchors what has come since the last one. What fails is tried again at the next look."""

    def __init__(self, log: AuditLog, store: AnchorStore, hook: Hook | None) -> None:
        self._log, self._store, self._hook = log, store, hook
        self._told: AnchorText | None = None

    async def look(self) -> None:
        """Anchor the heads, and tell the last anchor if the hook does not know it from this process."""
        try:
            anchor = await anchor_heads(self._log, self._store)
        except (MultiAgentError, OSError) as error:
            logger.warning("audit_not_anchored", reason=str(error))
            return
        if self._hook is None or anchor is None or anchor == self._told:
            return
        told = {"event": "audit.anchored", **anchor.model_dump(mode="json")}
        if (problem := await tell(self._hook, told)) is None:
            self._told = anchor
        else:
            logger.warning("audit_anchor_not_told", hook=self._hook.shown, reason=problem)

    async def run(self, ending: asyncio.Event) -> None:
        """Look until the end, and once more then."""
        while not ending.is_set():
            try:
                async with asyncio.timeout(ANCHOR_SECONDS):
                    await ending.wait()
            except TimeoutError:
                pass
            await self.look()


@asynccontextmanager
async def anchored(log: AuditLog, store: AnchorStore, hook: Hook | None) -> AsyncIterator[None]:
    """While the `with` body runs, and at its end, anchor the heads."""
    ending = asyncio.Event()
    task = asyncio.create_task(Anchoring(log, store, hook).run(ending))
    try:
        yield
    finally:
        ending.set()
        await asyncio.wait([task], timeout=_LAST_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
