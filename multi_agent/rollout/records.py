"""What a program records of its requests: when one came, how each arm ended, what its user thought of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, TypeAdapter

from contracts.base.model import Model

Text = Annotated[str, Field(min_length=1, max_length=200)]
Arm = Literal["legacy", "multi_agent"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm may return instead of a bare value, to say how it went."""

    value: Any
    """What the caller gets."""
    success: bool = True
    iterations: int | None = None
    cost_usd: float | None = None
    findings: int | None = None
    """Security findings in it; None where nobody looked."""


Measure = Callable[[Any], Answer]
"""From what an arm returned to how it went."""


class LegacyOnly(Exception):
    """Raised by a multi-agent arm that cannot take a request: the legacy arm answers it."""


class Begun(Model):
    """A request came, and was given to its arm."""

    kind: Literal["begun"] = "begun"
    rollout: Text
    request_id: Text
    key_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    stage: int = Field(ge=0, le=19)
    percent: int = Field(ge=0, le=100)
    shadow: int = Field(ge=0, le=100)
    assigned: Literal["multi_agent", "shadowed", "legacy"]


class Ended(Model):
    """An arm has ended its work on a request."""

    kind: Literal["ended"] = "ended"
    rollout: Text
    request_id: Text
    arm: Arm
    success: bool
    failing: bool = False
    """It was not able to take the request."""
    seconds: float = Field(ge=0, le=1e9)
    iterations: int | None = Field(default=None, ge=0, le=1_000_000)
    cost_usd: float | None = Field(default=None, ge=0, le=1e9)
    findings: int | None = Field(default=None, ge=0, le=1_000_000)


class Rated(Model):
    """A user said what an answer was worth."""

    kind: Literal["rated"] = "rated"
    rollout: Text
    request_id: Text
    rating: int = Field(ge=1, le=5)
    complaint: bool = False


Record = Annotated[Begun | Ended | Rated, Field(discriminator="kind")]
RECORDS: TypeAdapter[list[Record]] = TypeAdapter(list[Record])


class Recorder(Protocol):
    """Takes records, at once and without an error: what cannot be kept is counted and dropped."""

    def record(self, record: Begun | Ended | Rated) -> None: ...
