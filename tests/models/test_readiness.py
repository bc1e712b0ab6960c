"""Whether a service is there and knows key and model, before it is asked anything that costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.base.errors import ModelUnavailable, NotConfigured
from contracts.ports.model import ModelResponse
from multi_agent.models import Asked, ModelSettings, check_model, check_service
from multi_agent.models.adapters.failures import HttpFailure, check
from tests.models.rigs import CANARY, asking, settings_for, write_recording
from tests.models.test_accepted import endpoint
from tests.support.model_server import ModelServer

asks = pytest.mark.parametrize("kind", ["openai", "gemini"])


@asks
@pytest.mark.parametrize("status", [200, 403, 404, 500, 501])
async def test_a_server_need_not_know_the_question(kind: str, status: int) -> None:
    with ModelServer([], about_models=status) as server:
        await check_service(settings_for(kind, server))
    assert len(server.questions) == 1
    assert "models" in server.questions[0]
    assert not server.requests


@asks
async def test_a_key_that_is_not_known(kind: str, tmp_path: Path) -> None:
    with ModelServer([], about_models=401) as server:
        for spec in (f"{kind}:m", f"record:{tmp_path / 'kept'}:{kind}:m"):
            with pytest.raises(NotConfigured, match="API key is missing or wrong") as caught:
                await check_service(settings_for(kind, server, spec=spec))
            assert CANARY not in str(caught.value)


@asks
async def test_nobody_is_there(kind: str) -> None:
    with ModelServer([]) as server:
        pass
    with pytest.raises(ModelUnavailable, match="connection refused"):
        await check_service(settings_for(kind, server))


@pytest.mark.parametrize(("is_about_model", "code"), [(True, 404), (False, 404), (True, 403)])
async def test_a_model_that_the_service_itself_does_not_know(is_about_model: bool, code: int) -> None:
    failure = RuntimeError("not found")

    async def call() -> None:
        raise failure

    try:
        await check(endpoint(), call, lambda _: HttpFailure(code), is_about_model=is_about_model)
        refused = False
    except NotConfigured as error:
        refused = "no such model" in str(error)
    assert refused == (is_about_model and code == 404)


async def test_requests_that_are_recorded_need_no_model(tmp_path: Path) -> None:
    known, other = asking("known"), asking("other")
    write_recording(tmp_path, "kept", [(known, ModelResponse("answer", "m"))])
    settings = ModelSettings(replay_dirs=(tmp_path,))
    await check_model(settings, is_chosen=False, asked=Asked(known, "command"))
    await check_model(settings, is_chosen=False, asked=None)
    await check_model(settings, is_chosen=True, asked=Asked(other, "command"))
    for unknown in (other, None):
        with pytest.raises(NotConfigured, match="no model is set"):
            await check_model(settings, is_chosen=False, asked=Asked(unknown, "command"))


@pytest.mark.parametrize("words", [("up",), ("worker", "--redis-url", "redis://127.0.0.1:1"), ("run", "x")])
def test_every_start_refuses_a_wrong_setting(words: tuple[str, ...], tmp_path: Path) -> None:
    wrong = {"MULTI_AGENT_MODEL": "openai:m", "OPENAI_BASE_URL": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "multi_agent.cli", *words],
        cwd=tmp_path,
        env=os.environ | wrong,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("{")] == [
        "Error: OPENAI_BASE_URL is '127.0.0.1:1', which is no address; it must begin with http:// or "
        "https:// and have no quotes or spaces, such as http://127.0.0.1:11434/v1"
    ]
    assert not (tmp_path / ".multi_agent" / "state.db").exists()
