"""Answers that are kept for other processes and later runs."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import ModelRefused, NotConfigured
from contracts.ports.content import ToolCall
from contracts.ports.exchanges import ASKED_ANEW
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.bootstrap import model_settings
from multi_agent.models import build_model, told
from multi_agent.models.layers.cache import Cached
from multi_agent.models.layers.stored_cache import CacheRules, StoredCache
from multi_agent.settings import Settings
from tests.models.rigs import asking, settings_for
from tests.models.test_wrappers import Scripted, Time
from tests.support.model_server import ModelServer, Say

DAY = 86_400.0


class Full:
    """Gives whole answers, numbered, as a service does."""

    name = "full"

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        self.asked = 0

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.asked += 1
        answer = ModelResponse(f"answer {self.asked}", "m", 11, 7, 0.5, 3)
        return replace(answer, **self.fields)

    async def close(self) -> None:
        """Nothing to do."""


def rules(folder: Path, **changes: Any) -> CacheRules:
    return replace(CacheRules(folder / "kept", DAY, 100_000), **changes)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_another_client_gives_the_same_answer_at_no_cost(tmp_path: Path) -> None:
    blocks = (ToolCall("read", "{}", "c1", kept="sealed"),)
    full = Full(blocks=blocks)
    first = await StoredCache(full, rules(tmp_path), "m").complete(asking())
    again = await StoredCache(full, rules(tmp_path), "m").complete(asking())
    assert full.asked == 1
    assert again == replace(first, input_tokens=0, output_tokens=0, cached_input_tokens=0, cost_usd=0.0)
    assert again.blocks == blocks
    [kept] = files(tmp_path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


async def test_exactly_the_same_alone(tmp_path: Path) -> None:
    full = Full()
    await StoredCache(full, rules(tmp_path), "m").complete(asking("a"))
    await StoredCache(full, rules(tmp_path), "m").complete(asking("a "))
    await StoredCache(full, rules(tmp_path), "other").complete(asking("a"))
    without = StoredCache(full, rules(tmp_path, without=frozenset({"coder"})), "m")
    await without.complete(asking("a"))
    assert full.asked == 4
    await without.complete(replace(asking("a"), purpose="tester.write"))
    await without.complete(replace(asking("a"), purpose="tester.write"))
    assert full.asked == 5


@pytest.mark.parametrize(
    ("fields", "schema"), [({"end": "length"}, None), ({"end": "malformed"}, None), ({}, {"type": "object"})]
)
async def test_what_is_not_whole_is_not_kept(fields: dict[str, Any], schema: Any, tmp_path: Path) -> None:
    full = Full(**fields)
    client = StoredCache(full, rules(tmp_path), "m")
    for _ in range(2):
        await client.complete(asking(schema=schema))
    assert full.asked == 2
    with pytest.raises(ModelRefused):
        await StoredCache(Scripted(ModelRefused("cut")), rules(tmp_path), "m").complete(asking())
    assert files(tmp_path) == []


async def test_who_asks_anew_is_answered_by_the_model_and_that_is_kept(tmp_path: Path) -> None:
    full = Full()
    anew = replace(asking(), system=f"You write code.\n- attempt 1: {ASKED_ANEW}\n")
    for _ in range(2):
        await Cached(StoredCache(full, rules(tmp_path), "m")).complete(anew)
    kept = Cached(full)
    for _ in range(2):
        await kept.complete(anew)
    assert full.asked == 4
    assert len(files(tmp_path)) == 1


async def test_it_grows_old(tmp_path: Path) -> None:
    full, time = Full(), Time()
    client = StoredCache(full, rules(tmp_path), "m", clock=time.clock)
    await client.complete(asking())
    time.now = files(tmp_path)[0].stat().st_mtime + DAY - 1
    await client.complete(asking())
    assert full.asked == 1
    time.now += 1
    await client.complete(asking())
    assert full.asked == 2


async def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    full, bounds = Full(text="x" * 800), rules(tmp_path, max_bytes=10_000)
    client = StoredCache(full, bounds, "m", clock=lambda: 50.0)
    for number in range(33):
        await client.complete(asking(str(number)))
        for path in files(tmp_path):
            if path.stat().st_mtime > 10**9:
                os.utime(path, (number, number))
    left = files(tmp_path)
    assert sum(path.stat().st_size for path in left) <= 10_000
    assert len(left) >= 5
    assert {path.stat().st_mtime for path in left} == set(range(33 - len(left), 33))
    await StoredCache(Full(text="x" * 20_000), bounds, "m").complete(asking("large"))
    assert len(files(tmp_path)) == len(left)


async def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    unfinished, users = tmp_path / "kept/ab" / f"{'0' * 62}.7-7", tmp_path / "kept/ui/main.css"
    for path in (unfinished, users, tmp_path / "kept/ab/main.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (0, 0))
    await StoredCache(Full(), rules(tmp_path), "m").complete(asking())
    assert [path.exists() for path in (unfinished, users, tmp_path / "kept/ab/main.json")] == [
        *(False, True, True)
    ]


@pytest.mark.parametrize("content", [b"", b"{nope", b'{"text": 1}'])
async def test_a_damaged_file_is_replaced(content: bytes, tmp_path: Path) -> None:
    full = Full()
    client = StoredCache(full, rules(tmp_path), "m")
    await client.complete(asking())
    [kept] = files(tmp_path)
    kept.write_bytes(content)
    assert (await client.complete(asking())).text == "answer 2"
    assert (await client.complete(asking())).text == "answer 2"


async def test_a_folder_that_cannot_be_used_is_none(tmp_path: Path) -> None:
    full = Full()
    client = StoredCache(full, rules(tmp_path), "m")
    (tmp_path / "kept").rmdir()
    (tmp_path / "kept").touch()
    with pytest.raises(NotConfigured, match=r"MODEL_CACHE is '.*kept': File exists; set it to"):
        StoredCache(full, rules(tmp_path), "m")
    assert [(await client.complete(asking())).text for _ in range(2)] == ["answer 1", "answer 2"]


async def test_by_settings_for_each_model_of_a_list(tmp_path: Path) -> None:
    with ModelServer([Say("one"), Say("another")]) as server:
        given = settings_for("openai", server, spec="openai:a,openai:b", cache=rules(tmp_path))
        warmer = replace(given, told=told(None, None, 0.5, None))
        for settings in (given, given, warmer):
            client = build_model(settings)
            answer = await client.complete(asking())
            await client.close()
    assert answer.text == "another"
    assert len(server.requests) == 2


def test_what_the_settings_say(tmp_path: Path) -> None:
    assert model_settings(Settings()).cache is None
    words: dict[str, Any] = {"model_cache": tmp_path, "model_cache_without": "tester, planner,"}
    found = model_settings(Settings(**words)).cache
    assert found == CacheRules(tmp_path, 7 * DAY, 500_000_000, frozenset({"tester", "planner"}))
    with pytest.raises(NotConfigured, match="MODEL_CACHE_WITHOUT names 'no role!', which is no role"):
        model_settings(Settings(**words | {"model_cache_without": "tester,no role!"}))
