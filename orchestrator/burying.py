"""Giving something up: it becomes a dead letter, and the log says so."""

from __future__ import annotations

import structlog

from orchestrator.batch import Batch, DeadLetter

log = structlog.get_logger("orchestrator.burying")


def bury(batch: Batch, letter: DeadLetter) -> None:
    """Let the batch keep it, and say so."""
    log.warning("dead_letter", stream=letter.stream, reason=letter.reason)
    batch.dead_letters.append(letter)
