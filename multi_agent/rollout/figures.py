"""What is known of the arms of a rollout in one stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from multi_agent.rollout.evidence import MeasuredStep, OutcomeGroup

Measure = Literal["cost", "time", "rating", "failing"]


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm. Requests in the shadow are among them; a mean is None where nothing says what it is of."""

    requests: int = 0
    """That it was given."""
    ended: int = 0
    succeeded: int = 0
    seconds: float | None = None
    """Mean of a request."""
    cost_usd: float | None = None
    costs_known: int = 0
    """Requests that say what they cost."""
    iterations: float | None = None
    findings: int = 0
    """Of all stages, since one may come when the next has begun."""
    findings_known: int = 0
    rating: float | None = None
    """Mean from 1 to 5; a complaint is a 1."""
    ratings: int = 0
    complaints: int = 0
    failing: int = 0
    """Requests that it was not able to take."""

    @property
    def success(self) -> float | None:
        """Share of the ended."""
        return self.succeeded / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class StageFigures:
    """Both arms, and what counts as evidence."""

    legacy: ArmFigures = ArmFigures()
    multi_agent: ArmFigures = ArmFigures()
    outcomes: tuple[OutcomeGroup, ...] = ()
    measured: dict[Measure, tuple[MeasuredStep, ...]] = field(default_factory=dict)
    """Of the multi-agent arm; see `time_step`."""


def time_step(tenths: int, ratio: float) -> float:
    """What a request took, in tenths of the legacy arm's mean, against the most that the mean may be.

    -1 for no time, 0 for the limit. Cost is counted alike, in tenths of its limit; both are rounded down, so
    that they never say more than was measured.
    """
    return tenths / 10 / ratio - 1


def rating_step(rating: int, least: float) -> float:
    """The same for a rating from 1 to 5 against the least that the mean may be."""
    return (least - rating) / (5 - least)


def failing_step(failing: bool, most: float) -> float:
    """The same for a request that the arm was not able to take, against the share that may be."""
    return (failing - most) / most
