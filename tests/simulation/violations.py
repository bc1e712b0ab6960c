"""What the simulation raises."""

from __future__ import annotations


class Violation(BaseException):
    """An invariant does not hold. No Exception: the owner buries what makes a delivery fail."""


class Crash(BaseException):
    """The owner's process dies here. No Exception, so that nothing of the owner can catch it."""


def check(holds: bool, invariant: str) -> None:
    if not holds:
        raise Violation(invariant)
