"""Anchors of the audit log: the heads of all its chains together, kept where the database is not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.base.model import Model
from contracts.ports.artifacts import AnchorStore
from orchestrator.core.audit.chain import Anchor, Head

if TYPE_CHECKING:
    from orchestrator.client.audit_log import AuditLog

_SHORT = 10


class AnchorText(Model):
    """What an anchor says."""

    at: float
    """Seconds since 1970."""
    heads: dict[str, Head]
    """The number and the hash of the newest row, by chain."""


async def read_anchors(store: AnchorStore) -> list[Anchor]:
    """All anchors in Git, oldest first. A text that is none holds nothing. Raises as AnchorStore."""
    return [Anchor(f"anchor {name[:_SHORT]}", _heads_in(text)) for name, text in await store.anchors()]


async def anchor_heads(log: AuditLog, store: AnchorStore) -> str | None:
    """Anchor the heads as they are, unless the last anchor has them; the text of the new one, or None.

    Raises as AnchorStore and AuditLog.
    """
    heads = await log.heads()
    kept = await store.anchors(1)
    if not heads or (kept and _heads_in(kept[-1][1]) == heads):
        return None
    text = AnchorText(at=time.time(), heads=heads).model_dump_json()
    await store.add_anchor(text, int(time.time()))
    return text


def _heads_in(text: str) -> dict[str, Head]:
    """The heads of an anchor's text; none where it cannot be read."""
    try:
        return AnchorText.model_validate_json(text).heads
    except ValidationError:
        return {}
