"""Answers from recordings instead of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts.base.errors import ReplayMiss
from contracts.base.processes.command_lines import command_line
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models.recordings.recording import Exchange, load_recording, recording_files, request_text

_HOW_TO_CONFIGURE: Final = (
    "Recordings answer only the requests they were made with. To use a real model, set MULTI_AGENT_MODEL to "
    "gemini:MODEL or openai:MODEL and its API key (`{doctor}` shows what is set); to make a "
    "recording of it, set it to record:DIR:gemini:MODEL."
)


class Replay:
    """A ModelClient that finds answers in recordings by the hash of the request.

    When several recordings answer a request, the earlier folder wins, then the file name that sorts first.
    Token counts and costs are those of the recording. `complete` raises ReplayMiss for a request that is not
    recorded. The constructor raises NotConfigured for a folder or file that cannot be read.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files = [path for folder in folders for path in recording_files(folder)]
        self._folders = list(folders)
        self._exchanges: dict[str, Exchange] = {}
        for path in self._files:
            recording = load_recording(path)
            for exchange in recording.exchanges:
                named = exchange if exchange.model else exchange.model_copy(update={"model": recording.model})
                self._exchanges.setdefault(exchange.request_hash, named)

    @property
    def name(self) -> str:
        return "replay"

    def knows(self, request: ModelRequest) -> bool:
        """Whether an answer to this request is recorded."""
        return request_hash(request) in self._exchanges

    async def complete(self, request: ModelRequest) -> ModelResponse:
        key = request_hash(request)
        found = self._exchanges.get(key)
        if found is None:
            raise ReplayMiss(self._miss(request, key))
        return found.response()

    async def close(self) -> None:
        """Do nothing: no resource is held."""

    def _miss(self, request: ModelRequest, key: str) -> str:
        searched = ", ".join(path.name for path in self._files) or "none"
        folders = ", ".join(str(folder) for folder in self._folders)
        return "\n".join(
            [
                f"no recorded answer for {request.purpose} (request hash {key})",
                f"  recordings searched: {searched} (in {folders})",
                f"  {self._nearest(request)}",
                _HOW_TO_CONFIGURE.format(doctor=command_line("doctor")),
            ]
        )

    def _nearest(self, request: ModelRequest) -> str:
        same = [known for known in self._exchanges.values() if known.purpose == request.purpose]
        if not same:
            purposes = ", ".join(sorted({known.purpose for known in self._exchanges.values()})) or "none"
            return f"nothing is recorded for this purpose; recorded purposes: {purposes}"
        asked = request_text(request).split("\n")
        wanted = set(asked)
        nearest = max(same, key=lambda known: len(wanted.intersection(known.request_lines)))
        if not nearest.request_lines:
            return f"{len(same)} other requests are recorded for this purpose, without their text"
        return (
            f"nearest recorded request: {nearest.request_hash}; {_difference(asked, nearest.request_lines)}"
        )


def _difference(asked: Sequence[str], recorded: Sequence[str]) -> str:
    for number, (one, other) in enumerate(zip(asked, recorded, strict=False), start=1):
        if one != other:
            return f"first difference in line {number}: recorded {_short(other)}, asked {_short(one)}"
    shorter, extra = ("asked", recorded) if len(asked) < len(recorded) else ("recorded", asked)
    line = min(len(asked), len(recorded))
    if line == len(extra):
        return "its text is the same; the schema or a number differs"
    return f"first difference in line {line + 1}: {_short(extra[line])} is missing in what was {shorter}"


def _short(line: str) -> str:
    return repr(line if len(line) <= 160 else line[:160] + "...")
