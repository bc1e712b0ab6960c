"""What one worker reads, out of all that arrives for its agents."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agents.sdk.registry import AgentTable


class Lane(StrEnum):
    """A worker alone reads everything; the processes of a keeper divide it."""

    ALL = "all"
    SHORT = "short"
    """The tasks of short agents, many at once."""
    LONG = "long"
    """The tasks of all other agents, one at a time."""
    SUSPECTS = "suspects"
    """The tasks that must run alone, one at a time."""

    @property
    def one_at_a_time(self) -> bool:
        """Whether such a worker executes one task at a time, and gives back what it cannot start."""
        return self in {Lane.LONG, Lane.SUSPECTS}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a worker reads."""

    roles: tuple[str, ...]
    streams: tuple[str, ...]
    suspects: tuple[str, ...]
    """Streams of tasks that run alone; for Lane.SUSPECTS they are `streams` as well."""

    @classmethod
    def of(cls, table: AgentTable, lane: Lane) -> Reading:
        """The part of a lane. Without streams nobody needs to serve it."""
        match lane:
            case Lane.ALL:
                return cls(table.roles, table.streams, table.suspects)
            case Lane.SUSPECTS:
                return cls(table.roles, table.suspects, table.suspects)
            case Lane.SHORT | Lane.LONG:
                part = table.lasting(short=lane is Lane.SHORT)
                return cls(part.roles, part.streams, ())

    @property
    def all_streams(self) -> tuple[str, ...]:
        """Each stream once."""
        return tuple(dict.fromkeys(self.streams + self.suspects))
