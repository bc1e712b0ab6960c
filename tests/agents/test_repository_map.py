"""What agents are shown of a repository: its map, and the files that it puts first."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.roles.architect import ArchitectAgent
from agents.roles.coder import CoderAgent
from agents.roles.debugger import DebuggerAgent
from agents.roles.reviewer import ReviewerAgent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree, read_base
from agents.sdk.task import Task
from artifacts import GitArtifactStore
from artifacts.code_index.cache import EntryCache
from artifacts.code_index.index import Index
from contracts.base.errors import ModelRefused
from contracts.documents.reports import ReviewReport
from contracts.ports.code_index import MAP_TOKENS, STEPS_MAP_TOKENS, RepositoryMap
from contracts.ports.model import ModelRequest
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, TaskMaker, code, contract, task_request
from tests.agents.test_shipped import FAILING
from tests.artifacts.builders import outcome

COMMIT = "c" * 40
FILES = {f"src/part{n:02}.py": f"PART = {n}\n".encode() for n in range(40)} | {
    "src/app.py": b"x = 1\n",
    "tests/test_a.py": b"from src.app import x\n",
    "tests/test_z.py": b"from src.part39 import PART\n",
}
MAP = "src/part39.py\n     1 ``` PART"
TITLE = "## Map of the repository"


class LastFirst:
    """A map that puts what is last by name first, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[int] = set()

    async def map(self, commit: str, request: str, *, tokens: int = MAP_TOKENS) -> RepositoryMap:
        self.asked.append((commit, request))
        self.tokens.add(tokens)
        return RepositoryMap(tuple(sorted(FILES, reverse=True)), MAP)


def in_repository(
    model: ScriptedModel, index: LastFirst | None, *, base_commit: str | None = COMMIT, **fields: Any
) -> Task:
    reports = {"test": FAILING.model_dump(mode="json")}
    task = TaskMaker(model)(base=BaseTree(FILES, reports, commit=COMMIT), writable=["src/app.py"], **fields)
    return replace(task, request=task.request.model_copy(update={"base_commit": base_commit}), index=index)


async def test_little_code_is_shown_whole_in_place_of_a_map(over_trees: OverTrees) -> None:
    index = LastFirst()

    async def asked(files: dict[str, bytes]) -> ModelRequest:
        model = ScriptedModel(ModelRefused("enough"))
        task = TaskMaker(model)(base=BaseTree(files), role="coder", writable=["src/"])
        with pytest.raises(ModelRefused):
            await CoderAgent().run(replace(over_trees.give(task), index=index))
        return model.requests[0]

    little = {"README.md": b"much " * 9_000, "src/app.py": b"x = 1\n"}
    request = await asked(little)
    prompt = request.messages[0].text
    assert shown(prompt) == ["src/app.py"]
    assert "- README.md" in prompt
    assert TITLE not in prompt
    assert not {"search", "find", "list"} & {tool.name for tool in request.tools}
    too_much = ({"src/b.py": b"x = 1\n" * 900}, {"src/b.py": b"\xff"}, {f"{n}.txt": b"" for n in range(20)})
    for more in too_much:
        request = await asked(little | more)
        assert TITLE in request.messages[0].text
        assert shown(request.messages[0].text) == []
        assert {"search", "find", "list"} < {tool.name for tool in request.tools}
    assert index.tokens == {STEPS_MAP_TOKENS}, "it is sent again with each step"


def shown(prompt: str) -> list[str]:
    return re.findall(r"^File `(.*)`:$", prompt, re.MULTILINE)


async def prompt_of(agent: Any, answer: str, index: LastFirst | None, **fields: Any) -> str:
    model = ScriptedModel(answer)
    await agent(in_repository(model, index, **fields))
    return model.requests[0].messages[0].text


async def test_the_coder_gets_the_map_and_the_files_that_it_puts_first() -> None:
    index = LastFirst()
    prompt = await prompt_of(CoderAgent().generate_code, code(src__app="x = 2\n"), index)
    assert shown(prompt) == [
        "src/app.py",
        *[path for path in sorted(FILES, reverse=True) if path != "src/app.py"][:20],
    ]
    assert f"{TITLE}: " in prompt
    assert f"````\n{MAP}\n````" in prompt
    assert {commit for commit, _ in index.asked} == {COMMIT}
    [about] = {about for _, about in index.asked}
    assert index.tokens == {MAP_TOKENS}
    assert about.startswith("Task t1\n")
    assert "src/app.py" in about
    assert "Create a moving average" in about


@pytest.mark.parametrize(
    ("agent", "answer"),
    [
        (ArchitectAgent().generate_contract, contract()),
        (TesterAgent().write_tests, code(src__app="x = 2\n")),
        (ReviewerAgent().review, ReviewReport(approved=True, summary="good").model_dump_json()),
    ],
)
async def test_every_role_gets_the_map(agent: Any, answer: str) -> None:
    assert TITLE in await prompt_of(agent, answer, LastFirst())


async def test_a_reviewer_sees_everything_the_likeliest_first() -> None:
    answer = ReviewReport(approved=True, summary="good").model_dump_json()
    prompt = await prompt_of(ReviewerAgent().review, answer, LastFirst())
    rest = [path for path in sorted(FILES, reverse=True) if path != "src/app.py"]
    assert shown(prompt) == ["src/app.py", *rest]


async def test_the_debugger_s_map_is_about_the_failure_and_orders_the_tests_too() -> None:
    index = LastFirst()
    prompt = await prompt_of(
        DebuggerAgent().fix_code, code(src__app="x = 2\n"), index, role="debugger", dependencies=["test"]
    )
    assert all("assert 6 == 4" in about for _, about in index.asked)
    assert [path for path in shown(prompt) if path.startswith("tests/")] == [
        "tests/test_z.py",
        "tests/test_a.py",
    ]
    assert shown(prompt)[:2] == ["src/app.py", "src/part39.py"]


@pytest.mark.parametrize(("index", "base_commit"), [(None, COMMIT), (LastFirst(), None)])
async def test_without_a_repository_or_an_index_prompts_are_as_they_were(
    index: LastFirst | None, base_commit: str | None
) -> None:
    """Recordings go by the bytes of prompts."""
    prompt = await prompt_of(
        CoderAgent().generate_code, code(src__app="x = 2\n"), index, base_commit=base_commit
    )
    assert TITLE not in prompt
    assert shown(prompt) == ["src/app.py", *[f"src/part{n:02}.py" for n in range(20)]]


async def test_a_task_s_map_is_that_of_the_merged_work_before_it(
    store: GitArtifactStore, tmp_path: Path
) -> None:
    first, second = await store.write(
        [
            outcome("t1", {"src/one.py": b"def grow(): pass\n"}),
            outcome("t2", {"src/two.py": b"def shut(): pass\n"}),
        ]
    )
    request = task_request(parents=[first, second])
    base = await read_base("w1", request, store)
    index = Index(store.trees(), EntryCache(tmp_path / "c"))
    task = replace(
        TaskMaker()(base=base), request=request.model_copy(update={"base_commit": first}), index=index
    )
    found = await task.map("shut")
    assert found is not None
    assert found.paths == ("src/two.py", "src/one.py")
