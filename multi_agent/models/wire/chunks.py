"""Reads streams whose events have no names: each is a chunk of the answer, one of which says why it ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from multi_agent.models.wire.canonical import StopReason, WireCaller, WireUsage
from multi_agent.models.wire.events import AnswerEnded, AnswerFailed, WireEvent
from multi_agent.models.wire.failures import WireFailure, read_failure
from multi_agent.models.wire.fields import Fields, Notes


class ChunkReader(ABC):
    """A StreamReader. Formats say how a chunk is read, and what is left at the end."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._has_begun = False
        self._is_over = False
        self._stop: StopReason | None = None
        self._usage: WireUsage | None = None

    def read(self, event: dict[str, Any]) -> list[WireEvent]:
        """See StreamReader."""
        if self._is_over:
            return []
        if event.get("error"):
            self._is_over = True
            return [AnswerFailed(read_failure(event))]
        return list(self._read(Fields(event, "$", self._notes)))

    def end(self) -> list[WireEvent]:
        """See StreamReader."""
        if self._is_over:
            return []
        self._is_over = True
        if self._stop is None:
            return [AnswerFailed(WireFailure("server", "the service's stream broke off"))]
        return [*self._left(), AnswerEnded(self._stopped_by(self._stop), usage=self._usage)]

    @abstractmethod
    def _read(self, chunk: Fields) -> Iterator[WireEvent]:
        """What a chunk says."""

    @abstractmethod
    def _left(self) -> Iterable[WireEvent]:
        """What ends with the stream."""

    @abstractmethod
    def _stopped_by(self, said: StopReason) -> StopReason:
        """Why it ended, which the service says only in part."""
