"""Records the answers of a model."""

from __future__ import annotations

import asyncio
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contracts.base.errors import NotConfigured
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.recordings.recording import Exchange, Recording, exchange_of, load_recording

FILE_NAME: Final = "recording.json"


class Recorder:
    """A ModelClient that adds the answers of `inner` to `folder`/recording.json.

    The file is replaced atomically, under a lock, so several processes may record into one folder. A new
    answer to a recorded request replaces the old one.
    """

    def __init__(self, inner: ModelClient, folder: Path) -> None:
        self._inner = inner
        self._path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotConfigured(f"cannot record models into {folder}: {error.strerror}") from None

    @property
    def name(self) -> str:
        return f"record:{self._inner.name}"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        response = await self._inner.complete(request)
        await asyncio.to_thread(self._append, exchange_of(request, response))
        return response

    async def close(self) -> None:
        await self._inner.close()

    def _append(self, exchange: Exchange) -> None:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = load_recording(self._path) if self._path.exists() else self._empty()
            by_hash = {old.request_hash: old for old in known.exchanges}
            by_hash[exchange.request_hash] = exchange
            save_recording(self._path, known.model_copy(update={"exchanges": tuple(by_hash.values())}))

    def _empty(self) -> Recording:
        return Recording(
            title=self._path.parent.name,
            recorded_by="multi-agent record",
            recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            model=self._inner.name,
        )


def save_recording(path: Path, recording: Recording) -> None:
    """Write a recording, atomically."""
    text = recording.model_dump_json(indent=2, exclude_none=True) + "\n"
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
