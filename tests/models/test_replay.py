from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import NotConfigured, ReplayMiss
from contracts.ports.model import ModelClient, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models import ModelSettings, build_model
from multi_agent.models.recordings.recorder import Recorder
from multi_agent.models.recordings.recording import SHIPPED, load_recording, recording_files
from multi_agent.models.recordings.replay import Replay
from tests.models.rigs import asking, http_client, list_files, write_recording
from tests.support.model_server import ModelServer, Say

REQUEST = asking("first line\nsecond line\nthird line")


async def miss(client: ModelClient, request: Any) -> str:
    with pytest.raises(ReplayMiss) as caught:
        await client.complete(request)
    return str(caught.value)


async def test_miss_says_what_where_and_what_to_do(tmp_path: Path) -> None:
    write_recording(
        tmp_path, "sma", [(REQUEST, ModelResponse("x", "m")), (asking("other"), ModelResponse("y", "m"))]
    )
    asked = asking("first line\nsecond LINE\nthird line")
    said = await miss(Replay([tmp_path]), asked)
    assert "coder.write" in said
    assert request_hash(asked) in said
    assert f"sma.json (in {tmp_path})" in said
    assert f"nearest recorded request: {request_hash(REQUEST)}" in said
    assert "recorded 'second line', asked 'second LINE'" in said
    assert "openai:MODEL" in said


async def test_miss_of_a_purpose_nobody_recorded(tmp_path: Path) -> None:
    write_recording(tmp_path, "sma", [(REQUEST, ModelResponse("x", "m"))])
    said = await miss(Replay([tmp_path]), asking(purpose="reviewer.review"))
    assert "nothing is recorded for this purpose; recorded purposes: coder.write" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("first line\nsecond line", "'third line' is missing in what was asked"),
        ("first line\nsecond line\nthird line\nmore", "'more' is missing in what was recorded"),
    ],
)
async def test_miss_by_a_missing_line(tmp_path: Path, asked: str, said: str) -> None:
    write_recording(tmp_path, "sma", [(REQUEST, ModelResponse("x", "m"))])
    assert said in await miss(Replay([tmp_path]), asking(asked))


async def test_earlier_folder_and_earlier_name_win(tmp_path: Path) -> None:
    write_recording(tmp_path / "two", "a", [(REQUEST, ModelResponse("two a", "m"))])
    write_recording(tmp_path / "one", "b", [(REQUEST, ModelResponse("one b", "m"))])
    write_recording(tmp_path / "one", "a", [(REQUEST, ModelResponse("one a", "m"))])
    client = build_model(ModelSettings(spec=f"replay:{tmp_path / 'one'}", replay_dirs=(tmp_path / "two",)))
    assert (await client.complete(REQUEST)).text == "one a"


async def test_recording_written_by_hand(tmp_path: Path) -> None:
    exchange = {
        "purpose": "coder.write",
        "request_hash": request_hash(REQUEST),
        "response_lines": ["a", "", "b"],
    }
    document = {
        "schema_version": "1.0",
        "title": "by hand",
        "recorded_by": "somebody",
        "recorded_at": "2026-01-01T00:00:00Z",
        "model": "their-model",
        "exchanges": [exchange],
    }
    (tmp_path / "hand.json").write_text(json.dumps(document))
    response = await Replay([tmp_path]).complete(REQUEST)
    assert (response.text, response.model) == ("a\n\nb", "their-model")
    assert "without their text" in await miss(Replay([tmp_path]), asking("else"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "bad.json is not valid"),
        ("{}", "title"),
        (
            '{"title":"t","recorded_by":"r","recorded_at":"x","model":"m","exchanges":[{"purpose":"p"}]}',
            "exchanges.0",
        ),
    ],
)
def test_broken_recording(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(NotConfigured, match=said):
        Replay([tmp_path])


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="no folder of model recordings"):
        build_model(ModelSettings(spec=f"replay:{tmp_path / 'nowhere'}"))


def test_shipped_recordings_load() -> None:
    for path in recording_files(SHIPPED):
        assert load_recording(path).exchanges


async def test_record_then_replay(tmp_path: Path) -> None:
    with ModelServer([Say("one\ntwo\n"), Say("three")]) as server:
        async with http_client("openai", server, spec=f"record:{tmp_path}:openai:the-model") as client:
            assert client.name == "record:openai:the-model"
            recorded = [await client.complete(asking("a")), await client.complete(asking("b"))]
    with_replay = build_model(ModelSettings(spec=f"replay:{tmp_path}"))
    assert [await with_replay.complete(asking(text)) for text in "ab"] == recorded
    assert list_files(tmp_path, "*.json") == [tmp_path / "recording.json"]
    document = json.loads((tmp_path / "recording.json").read_text())
    assert document["exchanges"][0]["response_lines"] == ["one", "two", ""]
    assert "# user" in document["exchanges"][0]["request_lines"]


class Echo:
    """Answers with the number of the call."""

    name = "echo"

    def __init__(self) -> None:
        self.count = 0

    async def complete(self, request: Any) -> ModelResponse:
        self.count += 1
        return ModelResponse(f"answer {self.count}", "echo")

    async def close(self) -> None:
        """Nothing to release."""


async def test_several_recorders_share_one_file(tmp_path: Path) -> None:
    recorders = [Recorder(Echo(), tmp_path) for _ in range(4)]
    requests = [asking(f"{number}") for number in range(20)]
    await asyncio.gather(*(recorders[n % 4].complete(request) for n, request in enumerate(requests)))
    recording = load_recording(tmp_path / "recording.json")
    assert {exchange.request_hash for exchange in recording.exchanges} == set(map(request_hash, requests))
    assert not list_files(tmp_path, "*.tmp")


async def test_recording_again_replaces_the_answer(tmp_path: Path) -> None:
    recorder = Recorder(Echo(), tmp_path)
    for _ in range(2):
        await recorder.complete(REQUEST)
    (exchange,) = load_recording(tmp_path / "recording.json").exchanges
    assert exchange.response().text == "answer 2"
