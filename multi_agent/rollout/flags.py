"""Where the splitter's flag comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from multi_agent.rollout.assignment import OFF, Flag


class FlagSource(Protocol):
    """Says what the splitter does, from memory: it neither waits nor raises."""

    def flag(self) -> Flag: ...


@dataclass(frozen=True, slots=True)
class FixedFlag:
    """A flag that never changes."""

    value: Flag = OFF

    def flag(self) -> Flag:
        """See FlagSource."""
        return self.value


@dataclass(frozen=True, slots=True)
class Overridden:
    """A flag under an operator's word for one process.

    Off is off. A percentage stands instead of the flag's, and without a shadow; but nothing sends traffic to
    an arm that was rolled back.
    """

    source: FlagSource
    enabled: bool | None = None
    percent: int | None = None

    def flag(self) -> Flag:
        """See FlagSource."""
        found = self.source.flag()
        if self.enabled is False or found.state == "rolled_back":
            return replace(found, percent=0, shadow=0)
        return found if self.percent is None else replace(found, percent=self.percent, shadow=0)
