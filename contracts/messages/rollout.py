"""What programs with a TrafficSplitter tell of their requests."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from contracts.base.model import Model

Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
"""What every database stores."""
MOST_RECORDS: Final = 1_000
Arm = Literal["legacy", "multi_agent"]


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


RolloutRecord: TypeAlias = Annotated[Begun | Ended | Rated, Field(discriminator="kind")]
RECORDS: TypeAdapter[list[RolloutRecord]] = TypeAdapter(
    Annotated[list[RolloutRecord], Field(max_length=MOST_RECORDS)]
)
"""What is sent together."""
