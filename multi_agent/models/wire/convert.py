"""Between two formats: a request, its answer, and an answer that streams.

A pair of the same format passes unchanged, unknown fields and all, and is checked on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from contracts.base.errors import Problem
from multi_agent.models.wire.canonical import (
    FormatName,
    WireCaller,
    WireRequest,
    WireResponse,
    WireService,
)
from multi_agent.models.wire.checks import problems_for
from multi_agent.models.wire.events import AnswerFailed, CollectedAnswer, InOrder, WireEvent, events_of
from multi_agent.models.wire.failures import FailureKind, WireFailure, read_failure
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.formats import FORMATS
from multi_agent.models.wire.seals import has_others, kept_for, without_others

_CONTINUES: Final = ("previous_response_id", "conversation")
"""Fields with which a service goes on with what it has."""


@dataclass(frozen=True, slots=True)
class ConvertedRequest:
    """A request for a service."""

    request: WireRequest
    """What it says."""
    body: dict[str, Any]
    lost: tuple[Problem, ...] = ()
    """What the service's format cannot say; the request is sent without it."""
    refused: tuple[Problem, ...] = ()
    """Why it cannot be sent: it is not valid, or the service's format cannot say it."""

    @property
    def failure(self) -> WireFailure | None:
        """For the client, where the request cannot be sent."""
        return _failure(self.refused, "invalid")


@dataclass(frozen=True, slots=True)
class ConvertedResponse:
    """An answer for a client."""

    response: WireResponse
    """What it says."""
    body: dict[str, Any]
    lost: tuple[Problem, ...] = ()
    """What the client's format cannot say."""
    failure: WireFailure | None = None
    """Where there is no answer."""


def convert_request(
    body: Any, source: FormatName, target: FormatName, service: WireService | None = None
) -> ConvertedRequest:
    """A request of a client, for a service."""
    notes, service = Notes(), service or WireService()
    request = FORMATS[source].read_request(body, notes)
    continues = isinstance(body, dict) and any(body.get(field) for field in _CONTINUES)
    is_whole = source != target or not (continues or notes.refused)
    problems = [*notes.problems, *problems_for(request, source, is_whole=is_whole)]
    if source == target:
        return _passed(request, body, target, service, problems)
    notes.finish()
    written = FORMATS[target].write_request(request, notes, service)
    told = {str(problem) for problem in problems}
    problems += [one for one in problems_for(request, target) if str(one) not in told]
    return ConvertedRequest(request, written, notes.lost, (*problems, *notes.refused))


def convert_response(
    body: Any, source: FormatName, target: FormatName, caller: WireCaller
) -> ConvertedResponse:
    """A whole answer of a service of the format `source`, for a client of the format `target`."""
    notes = Notes()
    response = FORMATS[source].read_response(body, notes, caller)
    failure = None if response.blocks else _failure(notes.problems, "server")
    if not response.blocks and isinstance(body, dict) and body.get("error"):
        # Some say with status 200 that something went wrong.
        failure = read_failure(body)
    if source == target:
        return ConvertedResponse(response, body, failure=failure)
    notes.finish()
    written = FORMATS[target].write_response(response, notes, caller)
    return ConvertedResponse(response, written, (*notes.problems, *notes.refused, *notes.lost), failure)


def _passed(
    request: WireRequest, body: Any, name: FormatName, service: WireService, problems: list[Problem]
) -> ConvertedRequest:
    """A request in the service's own format, as it is but for the model and what other services made."""
    sent, lost = body, Notes()
    if has_others(name, request.turns):
        kept_for(name, request.turns, lost)
        sent = without_others(name, sent)
    if service.model and isinstance(sent, dict) and "model" in sent:
        sent = {**sent, "model": service.model}
    return ConvertedRequest(request, sent, lost.lost, tuple(problems))


def streamed(response: WireResponse, target: FormatName, caller: WireCaller) -> list[dict[str, Any]]:
    """A whole answer as a stream, for a client that asked for one."""
    writer = FORMATS[target].stream_writer(Notes(), caller)
    return [written for event in events_of(response) for written in writer.write(event)]


class ConvertedStream:
    """A stream of a service of the format `source`, event by event for a client of the format `target`."""

    def __init__(self, source: FormatName, target: FormatName, caller: WireCaller) -> None:
        self._passes = source == target
        self._notes = Notes()
        self._reader = FORMATS[source].stream_reader(self._notes, caller)
        self._writer = FORMATS[target].stream_writer(self._notes, caller)
        self._ordered = InOrder(self._notes, caller)
        self._collected = CollectedAnswer()

    @property
    def response(self) -> WireResponse:
        """The answer as far as it has come, with its usage once that is known."""
        return self._collected.answer

    @property
    def failure(self) -> WireFailure | None:
        """Why it broke off; None where it did not."""
        return self._collected.failure

    @property
    def is_over(self) -> bool:
        """Whether the service has said that its answer ended."""
        return self._collected.is_over

    @property
    def lost(self) -> tuple[Problem, ...]:
        """What the client's format cannot say."""
        if self._passes:
            return ()
        return (*self._notes.problems, *self._notes.refused, *self._notes.lost)

    def feed(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The events for the client, when one of the service has come."""
        written = self._written(self._reader.read(event))
        self._notes.finish()
        return [event] if self._passes else written

    def end(self, broken: WireFailure | None = None) -> list[dict[str, Any]]:
        """The last events for the client, when the service's stream has ended or broken off.

        broken: why, where that is known.
        """
        events = self._reader.end()
        is_half = any(isinstance(event, AnswerFailed) for event in events)
        if is_half and broken:
            events = [AnswerFailed(broken)]
        written = self._written(events)
        return written if is_half or not self._passes else []

    def _written(self, events: Iterable[WireEvent]) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        for event in (ordered for one in events for ordered in self._ordered.passed(one)):
            self._collected.add(event)
            written += self._writer.write(event)
        return written


def _failure(problems: Iterable[Problem], kind: FailureKind) -> WireFailure | None:
    """The first of them in one line, and how many more there are."""
    found = tuple(problems)
    if not found:
        return None
    first = found[0]
    message = f"{first}; and {len(found) - 1} more" if len(found) > 1 else str(first)
    return WireFailure(kind, message.replace("\n", " "), first.path.removeprefix("$."))
