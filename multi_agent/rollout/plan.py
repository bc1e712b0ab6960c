"""What a rollout does, as data: its stages, its limits, and how often it may be wrong."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from contracts.base.model import Document, Model

FULL: Final = 100


class Stage(Model):
    """A share of the traffic, and how long it is kept at least."""

    percent: int = Field(ge=1, le=FULL, description="of all keys, answered by multi-agent")
    shadow: int = Field(
        default=0,
        ge=0,
        le=FULL,
        description="percent of all keys that both arms work on and the legacy arm answers",
    )
    hours: float = Field(ge=0, le=10_000, description="least duration")
    time_ratio: float = Field(
        default=1.5, gt=0, le=100, description="most that the mean time may be, in those of the legacy arm"
    )

    @model_validator(mode="after")
    def _within_all(self) -> Self:
        if self.percent + self.shadow > FULL:
            raise ValueError(f"percent + shadow is {self.percent + self.shadow}; it may be 100 at most")
        return self


STAGES: Final = (
    Stage(percent=10, shadow=15, hours=24, time_ratio=2.0),
    Stage(percent=25, hours=24),
    Stage(percent=50, hours=48),
    Stage(percent=75, hours=48),
    Stage(percent=FULL, hours=72),
)
"""At 10 % alone, 4,000 requests say too little: the first stage measures on 15 % more, in the shadow."""


class RolloutLimits(Model):
    """What the multi-agent arm must keep. A limit of null is not looked at."""

    margin: float = Field(
        default=0.05, gt=0, lt=0.5, description="success that may be lost against the legacy arm, in shares"
    )
    least_success: float = Field(default=0.70, gt=0, lt=1, description="below it: rollback")
    cost_usd: float | None = Field(default=1.00, gt=0, description="mean of a request")
    findings: int | None = Field(default=0, ge=0, description="security findings in all")
    satisfaction: float | None = Field(default=4.0, gt=1, lt=5, description="mean of ratings from 1 to 5")
    failing: float = Field(
        default=0.05, gt=0, lt=1, description="share of requests that the arm may not be able to take"
    )


class RolloutPlan(Document):
    """A rollout from a legacy agent to multi-agent."""

    stages: tuple[Stage, ...] = Field(default=STAGES, min_length=1, max_length=20)
    limits: RolloutLimits = RolloutLimits()
    false_promotions: float = Field(
        default=0.05, gt=0, lt=0.5, description="bound on promoting an arm that is worse by the margin, ever"
    )
    false_rollbacks: float = Field(
        default=0.05, gt=0, lt=0.5, description="bound on rolling an arm back that keeps its limits, ever"
    )
    outcomes_per_key: int = Field(
        default=1, ge=1, le=1_000, description="how many requests of one key count as evidence in a stage"
    )
    least_outcomes: int = Field(
        default=30, ge=1, le=1_000_000, description="outcomes of an arm before its means are looked at"
    )
    patience_minutes: float = Field(
        default=60, gt=0, le=100_000, description="after it a request that has not ended counts as failed"
    )
    automatic: bool = Field(default=True, description="whether an open gate is passed without a person")

    @model_validator(mode="after")
    def _grows(self) -> Self:
        shares = [stage.percent for stage in self.stages]
        if shares != sorted(set(shares)) or shares[-1] != FULL:
            raise ValueError(f"the percents of the stages are {shares}; they must grow, and end with 100")
        return self
