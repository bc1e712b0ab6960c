"""The key must be seen by nobody but the service."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from contracts.base.errors import MultiAgentError
from tests.models.rigs import CANARY, HTTP_KINDS, asking, http_client
from tests.support.model_server import Blocked, HangUp, ModelServer, Raw, Say, Status, Step

STEPS: list[Step] = [
    Say(f"The key is {CANARY[:6]}..."),
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
    assert [text for text in seen if CANARY in text] == []
