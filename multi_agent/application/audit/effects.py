"""Effects outside the database, each as two rows of the audit log: intended, and what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput, MultiAgentError, StoreUnavailable
from contracts.base.identifiers import new_id
from contracts.ports.artifacts import AnchorStore
from multi_agent.application.audit.anchors import anchor_heads
from orchestrator.core.audit.entries import AuditKind, Fact, text_hash

if TYPE_CHECKING:
    from orchestrator.client.audit_log import AuditLog


@asynccontextmanager
async def recorded(
    log: AuditLog,
    effect: str,
    facts: Mapping[str, Fact],
    *,
    workflow_id: str | None = None,
    refusable: bool = True,
    anchors: AnchorStore | None = None,
) -> AsyncIterator[dict[str, Fact]]:
    """Record an effect around the body, which makes it and adds to the yielded facts what became of it.

    refusable: whether InvalidInput says that nothing was changed; any other error leaves that unknown.
    anchors: where the heads are anchored at the end.

    Raises StoreUnavailable before anything is done when the intention cannot be stored. When only the second
    row cannot, the effect is one without an end, as after a crash.
    """
    same: dict[str, Fact] = {"effect": effect, "effect_id": new_id()}
    await log.record(AuditKind.INTENDED, {**same, **facts}, workflow_id=workflow_id)
    done: dict[str, Fact] = {}
    try:
        yield done
    except InvalidInput as error:
        kind = AuditKind.NOT_DONE if refusable else AuditKind.UNKNOWN
        said: dict[str, Fact] = {"error": type(error).__name__, "reason_sha256": text_hash(str(error))}
        with suppress(StoreUnavailable):
            await log.record(kind, {**same, **said}, workflow_id=workflow_id)
        raise
    except BaseException as error:
        what = {**same, "error": type(error).__name__}
        with suppress(StoreUnavailable):
            await log.record(AuditKind.UNKNOWN, what, workflow_id=workflow_id)
        raise
    with suppress(MultiAgentError):  # what is done is done; an orchestrator anchors later
        await log.record(AuditKind.DONE, {**same, **done}, workflow_id=workflow_id)
        if anchors is not None:
            await anchor_heads(log, anchors)
