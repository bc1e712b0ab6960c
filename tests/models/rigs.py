"""Requests, clients and answers for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from contracts.base.secrets.redaction import Redactor
from contracts.ports.model import ModelClient, ModelMessage, ModelRequest, ModelResponse
from multi_agent.models import ModelSettings, build_model
from multi_agent.models.adapters.manual import ManualFiles
from multi_agent.models.layers.bounds import Bounded
from multi_agent.models.recordings.recording import Recording, exchange_of
from tests.support.model_server import ModelServer, Say

CANARY = "canary-5f1c-key-that-must-stay-secret"
HTTP_KINDS = ("openai", "openai-responses", "gemini", "gemini-legacy", "anthropic")
ALL_KINDS = ("replay", "manual", *HTTP_KINDS)

Answer = Callable[[str], str]


def asking(
    text: str = "write it",
    *,
    purpose: str = "coder.write",
    system: str = "You write code.",
    schema: Any = None,
) -> ModelRequest:
    return ModelRequest(purpose, system, (ModelMessage("user", text),), response_schema=schema)


def settings_for(kind: str, server: ModelServer, **changes: Any) -> ModelSettings:
    values: dict[str, Any] = {
        "spec": f"{kind}:the-model",
        "gemini_api_key": SecretStr(CANARY),
        "openai_api_key": SecretStr(CANARY),
        "anthropic_api_key": SecretStr(CANARY),
        "redact": Redactor([CANARY]),
        "gemini_base_url": server.gemini_url,
        "openai_base_url": server.openai_url,
        "anthropic_base_url": server.url,
        "max_attempts": 1,
        "timeout_seconds": 30,
    }
    return ModelSettings(**values | changes)


@asynccontextmanager
async def http_client(kind: str, server: ModelServer, **changes: Any) -> AsyncIterator[ModelClient]:
    client = build_model(settings_for(kind, server, **changes))
    try:
        yield client
    finally:
        await client.close()


def write_recording(folder: Path, name: str, exchanges: Sequence[tuple[ModelRequest, ModelResponse]]) -> Path:
    recording = Recording(
        title=name,
        recorded_by="a test",
        recorded_at="2026-01-01T00:00:00Z",
        model="some-model",
        exchanges=tuple(exchange_of(*exchange) for exchange in exchanges),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(recording.model_dump_json(indent=2, exclude_none=True), encoding="utf-8")
    return path


def replay_rig(folder: Path, requests: Sequence[ModelRequest], answer: Answer) -> ModelClient:
    exchanges = [(asked, ModelResponse(answer(asked.messages[-1].text), "m", 11, 7)) for asked in requests]
    write_recording(folder, "recorded", exchanges)
    return build_model(ModelSettings(spec=f"replay:{folder}"))


def list_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


async def person(folder: Path, requests: Sequence[ModelRequest], answer: Answer) -> None:
    """Answers every prompt that appears in the folder."""
    texts = [asked.messages[-1].text for asked in requests]
    while True:
        for prompt in list_files(folder, "*.prompt.md"):
            target = prompt.with_name(prompt.name.replace(".prompt.md", ".answer.txt"))
            if not target.exists():
                asked = next(text for text in texts if f"# user\n\n{text}\n" in prompt.read_text())
                target.write_bytes(answer(asked).encode())
        await asyncio.sleep(0.01)


@asynccontextmanager
async def rig(
    kind: str, folder: Path, requests: Sequence[ModelRequest], answer: Answer
) -> AsyncIterator[ModelClient]:
    """A client of this kind whose model answers the last turn of a request with `answer(its text)`."""
    if kind == "replay":
        yield replay_rig(folder, requests, answer)
    elif kind == "manual":
        task = asyncio.create_task(person(folder, requests, answer))
        try:
            yield Bounded(ManualFiles(folder, poll_seconds=0.01), 4_000_000)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    else:
        with ModelServer(lambda received: Say(answer(received.prompt), thoughts=("Let me see.",))) as server:
            async with http_client(kind, server) as client:
                yield client
