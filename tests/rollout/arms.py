"""Arms, and what keeps records in memory."""

from __future__ import annotations

import time

from contracts.messages.rollout import Ended, RolloutRecord
from multi_agent.rollout import ArmAnswer
from multi_agent.rollout.assignment import Flag
from multi_agent.rollout.flags import FixedFlag


class Kept:
    """Keeps records in a list."""

    def __init__(self) -> None:
        self.records: list[RolloutRecord] = []

    def record(self, record: RolloutRecord) -> None:
        self.records.append(record)

    def ended(self) -> list[tuple[str, bool, bool]]:
        return [(one.arm, one.success, one.failing) for one in self.records if isinstance(one, Ended)]


def flag(percent: int, shadow: int = 0) -> FixedFlag:
    return FixedFlag(Flag(percent, shadow, "trial", 0, "running"))


def legacy(request: str) -> str:
    return f"legacy {request}"


def ours(request: str) -> ArmAnswer:
    return ArmAnswer(f"ours {request}", True, 3, 0.25, 0)


def until(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "never came"
        time.sleep(0.005)
