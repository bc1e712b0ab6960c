"""The settings of a repository reach who works there, and nobody touches what they protect."""

from __future__ import annotations

import pytest

from agents import AgentResult, Task, agent
from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from artifacts import GitArtifactStore
from contracts.bus.memory_bus import MemoryBus
from contracts.documents.repository_settings import RepositorySettings
from tests.agents.owner import Owner, running, worker
from tests.agents.support import CREATED_AT, ScriptedModel, ScriptedSandbox, TaskMaker, code, task_request
from tests.agents.test_rules import ended

SAID = RepositorySettings(
    test="pytest -q",
    lint="echo '```'",
    setup="make all",
    services=("redis",),
    protected=("migrations/", "*.lock"),
    budget_usd=1,
)


@pytest.mark.parametrize("content", ["x = 1\n", None])
async def test_an_outcome_that_touches_what_is_protected_is_refused(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, content: str | None
) -> None:
    path = "Migrations/first.py" if content else "migrations/first.py"

    @agent(role="coder")
    class Toucher:
        async def run(self, task: Task) -> AgentResult:
            return AgentResult(files={path: content})

    base = await store.merge([], subject="base", created_at=CREATED_AT)
    request = task_request(writable=[path, "src/"], parents=[base])
    async with running(worker(bus, store, Toucher)):
        await owner.dispatch(request.model_copy(update={"base_commit": base, "repository": SAID}))
        found = await owner.outcome()
    assert (found.status, found.commit) == ("failed", None)
    assert found.error is not None
    assert found.error.code == "path_not_allowed"
    assert found.error.message == (
        f"path {path!r} is protected: the repository's settings name 'migrations/'"
    )


def _task(model: ScriptedModel, said: RepositorySettings | None) -> Task:
    maker = TaskMaker(model, ScriptedSandbox(ended(0)))
    made = maker(base=BaseTree({"README.md": b"hello"}), writable=("src/",))
    return Task(
        made.request.model_copy(update={"repository": said}), "w1", made.exchanges, made.sandbox, made.base
    )


async def test_a_role_is_told_the_commands_and_what_is_protected_as_data() -> None:
    model = ScriptedModel(code(src__uv="x = 1\n"))
    await CoderAgent().run(_task(model, SAID))
    shown = model.requests[0].messages[0].text.partition("## What this repository says about changes")[2]
    lines = ["test: pytest -q", "lint: echo '```'", "runs beside your programs: redis"]
    told = "\n".join([*lines, "protected: migrations/", "protected: *.lock"])
    assert f"````\n{told}\n````" in shown
    assert "make all" not in shown, "nobody can set up what a model is asked"


async def test_what_is_protected_goes_back_to_the_model() -> None:
    wrong = '{"summary": "s", "files": [{"path": "src/uv.lock", "content": "x"}]}'
    model = ScriptedModel(wrong, code(src__uv="x = 1\n"))
    await CoderAgent().run(_task(model, SAID))
    assert "path 'src/uv.lock' is protected" in model.requests[1].messages[-1].text


@pytest.mark.parametrize("said", [None, RepositorySettings(), RepositorySettings(budget_usd=3)])
async def test_without_any_for_agents_a_prompt_is_as_it_was(said: RepositorySettings | None) -> None:
    model = ScriptedModel(code(src__a="x = 1\n"), code(src__a="x = 1\n"))
    await CoderAgent().run(_task(model, said))
    await CoderAgent().run(TaskMaker(model)(base=BaseTree({"README.md": b"hello"}), writable=("src/",)))
    first, second = model.requests
    assert first == second
