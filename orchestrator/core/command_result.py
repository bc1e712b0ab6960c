"""What became of a command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The orchestrator's answer to a command: accepted, or refused with a reason."""

    refusal: str | None = None
    """Why the command changed nothing, in words for a user; None when it was accepted."""

    @property
    def accepted(self) -> bool:
        """Whether the command was applied."""
        return self.refusal is None


ACCEPTED = CommandResult()
