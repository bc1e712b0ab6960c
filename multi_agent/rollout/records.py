"""What arms say of their answers, and who takes what is recorded of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Protocol

import structlog
from pydantic import TypeAdapter, ValidationError

from contracts.messages.rollout import RolloutRecord

logger = structlog.get_logger(__name__)

_MOST_CHARACTERS: Final = 200
_RECORD: Final[TypeAdapter[RolloutRecord]] = TypeAdapter(RolloutRecord)


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


def record_safely(recorder: OutcomeRecorder, fields: Mapping[str, object]) -> bool:
    """Record what has these fields; whether that could be done. It is never an error of the caller's."""
    try:
        recorder.record(_RECORD.validate_python(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        logger.warning("rollout_not_recorded", field=str(first["loc"])[:100], why=first["msg"][:200])
        return False
    return True


def recorded_id(request_id: str) -> str:
    """The id of a request as it is recorded: itself, or a hash of one that is too long or not plain text."""
    text = str(request_id)
    if 0 < len(text) <= _MOST_CHARACTERS and text.isprintable():
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
