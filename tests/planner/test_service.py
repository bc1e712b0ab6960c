"""The synchronous facade and the files it writes."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput, InvalidPlan
from contracts.ports.model import ModelRequest, ModelResponse
from planner_service import Planner, PlannerService, todo_list_id
from planner_service.planner import PlannerService as Documented
from tests.planner.scripted import GOOD, ScriptedModel
from tests.support.model_server import ModelServer, Say

REQUEST = "Create momentum strategy"


class LoopBoundModel(ScriptedModel):
    """Like a client with a connection pool: works only on the loop that used it first."""

    loop: asyncio.AbstractEventLoop | None = None

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self._check()
        return await super().complete(request)

    async def close(self) -> None:
        self._check()
        await super().close()

    def _check(self) -> None:
        running = asyncio.get_running_loop()
        assert self.loop in {None, running}
        self.loop = running


def test_a_plan_comes_as_a_dict_and_as_a_file(tmp_path: Path) -> None:
    model = LoopBoundModel(GOOD, GOOD)
    with Documented(model, tmp_path / "new" / "plans") as service:
        first = service.create_plan(REQUEST)
        assert service.create_plan(REQUEST) == first
    assert model.closed == 1
    file = tmp_path / "new" / "plans" / f"{todo_list_id(REQUEST)}.json"
    assert json.loads(file.read_text()) == first
    assert first["items"][0]["task_id"] == "design"
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    service.close()


async def test_it_works_while_an_event_loop_runs() -> None:
    with PlannerService(Planner(LoopBoundModel(GOOD)), None) as service:
        assert service.create_plan(REQUEST)["request"] == REQUEST


def test_no_folder_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with PlannerService(ScriptedModel(GOOD), None) as service:
        service.create_plan(REQUEST)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_for_the_service_of_the_model(tmp_path: Path) -> None:
    for service in ("gemini", "openai"):
        with ModelServer([Say(GOOD)]) as server:
            url = {"gemini_base_url": server.gemini_url, "openai_base_url": server.openai_url}
            with PlannerService(
                output_dir=tmp_path, api_key="my-key", model=f"{service}:any", **url
            ) as planner:
                assert planner.create_plan(REQUEST)["todo_list_id"] == todo_list_id(REQUEST)
            assert any("my-key" in value for value in server.requests[0].headers.values())
    assert [path.name for path in tmp_path.iterdir()] == [f"{todo_list_id(REQUEST)}.json"]


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InvalidInput, match="api_key is for the model of the settings"):
        PlannerService(ScriptedModel(GOOD), api_key="k")
    with pytest.raises(InvalidInput, match=r"there is no option 'modle'; there are: .*model"):
        PlannerService(modle="replay")
    with (
        PlannerService(ScriptedModel(GOOD), None) as planner,
        pytest.raises(InvalidInput, match="the request is a NoneType"),
    ):
        planner.create_plan(None)


def test_errors_arrive() -> None:
    with PlannerService(ScriptedModel("no", "no", "no"), None) as service:
        with pytest.raises(InvalidPlan):
            service.create_plan(REQUEST)
        with pytest.raises(InvalidInput, match="empty"):
            service.create_plan("")


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("")
    with (
        PlannerService(ScriptedModel(GOOD), tmp_path / "plans") as service,
        pytest.raises(InvalidInput, match="plans"),
    ):
        service.create_plan(REQUEST)


def test_a_forgotten_service_leaves_no_thread() -> None:
    before = threading.active_count()
    assert PlannerService(ScriptedModel(GOOD), None).create_plan(REQUEST)["items"]
    gc.collect()
    assert threading.active_count() == before
