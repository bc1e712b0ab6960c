"""The key must be seen by nobody but the service."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from contracts.base.errors import ModelUnavailable, MultiAgentError
from contracts.base.secrets.redaction import Redactor
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models import build_model
from multi_agent.models.layers.redacted import Redacted
from tests.models.rigs import CANARY, HTTP_KINDS, asking, http_client, list_files, settings_for
from tests.support.model_server import Blocked, HangUp, ModelServer, Raw, Say, Status, Step

BASIC = b64encode(f"user:{CANARY}:".encode()).decode()
STEPS: list[Step] = [
    Say(f"The key is {CANARY}."),
    Say(f'{{"key": "{BASIC}", "url": "/?key={quote(CANARY, safe="")}", "hex": "{CANARY.encode().hex()}"}}'),
    Say("x" * 200_000 + CANARY),
    Blocked(),
    HangUp(),
    Raw(b"{nope"),
    *(Status(code, f"key {CANARY} is bad") for code in (400, 401, 403, 404, 429, 500)),
]


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def whole_chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step)[:20])
async def test_key_stays_secret(kind: str, step: Step, everything_logged: pytest.LogCaptureFixture) -> None:
    seen = []
    attempts = 2 if step == Status(429, f"key {CANARY} is bad") else 1
    with ModelServer([step] * attempts) as server, capture_logs() as events:
        async with http_client(kind, server, max_attempts=attempts) as client:
            seen += [repr(client), str(client), client.name]
            outcome = (await asyncio.gather(client.complete(asking()), return_exceptions=True))[0]
    if isinstance(outcome, BaseException):
        assert isinstance(outcome, MultiAgentError)
        assert list(whole_chain(outcome)) == [outcome]
        seen += traceback.format_exception(outcome)
    seen += [repr(outcome), str(outcome)]
    seen += [record.getMessage() for record in everything_logged.records]
    seen += [repr(record.__dict__) for record in everything_logged.records]
    seen += [repr(event) for event in events]
    seen += [f"{received.path} {received.raw!r}" for received in server.requests]
    assert len(server.requests) == attempts
    assert len(events) == attempts - 1
    assert [
        text for text in seen if CANARY in text or BASIC[8:24] in text or CANARY.encode().hex() in text
    ] == []


async def test_the_name_of_the_answering_model_is_redacted() -> None:
    body = {"model": f"m-{CANARY}", "choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}
    with ModelServer([Raw(json.dumps(body).encode())]) as server:
        async with http_client("openai", server) as client:
            assert (await client.complete(asking())).model == "m-[secret]"


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_an_answer_without_a_secret_is_the_same(kind: str) -> None:
    text = 'a canary, a key and "\\u0041" stay: \u202e'
    with ModelServer([Say(text)]) as server:
        async with http_client(kind, server) as client:
            assert (await client.complete(asking())).text == text


async def test_what_is_recorded_holds_no_secret(tmp_path: Path) -> None:
    with ModelServer([Say(f"the key is {CANARY}")]) as server:
        client = build_model(settings_for("openai", server, spec=f"record:{tmp_path}:openai:the-model"))
        assert (await client.complete(asking())).text == "the key is [secret]"
        await client.close()
    [file] = list_files(tmp_path, "**/*.json")
    assert "[secret]" in file.read_text()
    assert CANARY not in file.read_text()


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_a_message_is_not_cut_within_a_secret(kind: str) -> None:
    with ModelServer([Status(500, "x" * (295 - len(BASIC) // 2) + BASIC)]) as server:
        async with http_client(kind, server) as client:
            with pytest.raises(ModelUnavailable) as refused:
                await client.complete(asking())
    assert BASIC[8:16] not in str(refused.value)


class Leaky:
    """A model whose errors quote the key."""

    name = "leaky"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        raise ModelUnavailable(f"{request.purpose} with {CANARY}", 3.0)

    async def close(self) -> None:
        """Do nothing."""


async def test_an_error_keeps_all_but_the_secret() -> None:
    with pytest.raises(ModelUnavailable) as refused:
        await Redacted(Leaky(), Redactor([CANARY])).complete(asking())
    assert (str(refused.value), refused.value.retry_after) == ("coder.write with [secret]", 3.0)
