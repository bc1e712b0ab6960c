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
    return [Anchor(f"anchor {name[:_SHORT]}", _read(text).heads) for name, text in await store.anchors()]


async def anchor_heads(log: AuditLog, store: AnchorStore) -> AnchorText | None:
    """Anchor the heads as they are, unless the last anchor has them; the last one now, None without rows.

    Raises as AnchorStore and AuditLog.
    """
    heads = await log.heads()
    kept = [_read(text) for _, text in await store.anchors(1)]
    if not heads or (kept and kept[0].heads == heads):
        return kept[0] if kept else None
    # What is told elsewhere must not be lost here.
    anchor = AnchorText(at=time.time(), heads=await log.settled_heads())
    await store.add_anchor(anchor.model_dump_json(), int(anchor.at))
    return anchor


def _read(text: str) -> AnchorText:
    """An anchor's text; one that cannot be read has no heads."""
    try:
        return AnchorText.model_validate_json(text)
    except ValidationError:
        return AnchorText(at=0.0, heads={})
