"""What an execution may still spend on its model. Whoever pays asks the purse before each try."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

from contracts.messages.budget import Amount


class Purse(Protocol):
    """The allowance of one execution."""

    @property
    def counts_money(self) -> bool:
        """Whether it has a limit in dollars, so that prices must be known."""

    async def reserve(self, request_hash: str, bound: Amount) -> int:
        """Set the bound aside for one try, and return its number; durable when this returns.

        Raises Suspended where that is not left, StoreUnavailable, ArtifactError.
        """

    def settle(self, number: int, used: Amount) -> None:
        """Say what the try cost. One that is never settled costs what was set aside."""

    def read_back(self, request_hash: str, used: Amount) -> None:
        """Say that an answer was stored that an execution before has paid."""


PURSE: Final[ContextVar[Purse | None]] = ContextVar("purse", default=None)
"""That of the execution whose code runs, None where nothing limits what it spends."""
