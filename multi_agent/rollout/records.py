"""What arms say of their answers, and who takes what is recorded of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.messages.rollout import RolloutRecord


@dataclass(frozen=True, slots=True)
class ArmAnswer:
    """What an arm may return instead of a bare value, to say how it went."""

    value: Any
    """What the caller gets."""
    success: bool = True
    iterations: int | None = None
    cost_usd: float | None = None
    findings: int | None = None
    """Security findings in it; None where nobody looked."""


Measure = Callable[[Any], ArmAnswer]
"""From what an arm returned to how it went."""


class LegacyOnly(Exception):
    """Raised by a multi-agent arm that cannot take a request: the legacy arm answers it."""


class OutcomeRecorder(Protocol):
    """Takes records, at once and without an error: what cannot be kept is dropped."""

    def record(self, record: RolloutRecord) -> None: ...
