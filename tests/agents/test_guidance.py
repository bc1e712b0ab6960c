"""What a repository says about how to work in it reaches who works there, and is recorded."""

from __future__ import annotations

import json

import pytest

from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.guidance import MOST, guidance_for, with_included
from agents.sdk.registry import agent_info
from agents.worker.commits import pending_commit
from artifacts import GitArtifactStore
from contracts.ports.artifacts import RefMove
from tests.agents.support import ScriptedModel, TaskMaker, code

FILES = (
    "AGENTS.md",
    "CLAUDE.md",
    "CONTRIBUTING.md",
    "lib/GEMINI.md",
    "src/AGENTS.md",
    "src/api/CLAUDE.md",
    "src/api/v1/x.py",
    "docs/agents.md",
)


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ([], ["AGENTS.md"]),
        (["setup.py"], ["AGENTS.md"]),
        (["src/main.py"], ["AGENTS.md", "src/AGENTS.md"]),
        (["src/api/v1/"], ["AGENTS.md", "src/AGENTS.md", "src/api/CLAUDE.md"]),
        (["src/"], ["AGENTS.md", "src/AGENTS.md", "src/api/CLAUDE.md"]),
        (["library/a.py", "docs/a.md"], ["AGENTS.md"]),
        (["lib/a.py", "src/api.py"], ["AGENTS.md", "lib/GEMINI.md", "src/AGENTS.md"]),
    ],
)
def test_the_roots_and_the_nearest_apply(places: list[str], found: list[str]) -> None:
    assert list(guidance_for(FILES, places)) == found


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["README.md"], []),
        (["CONTRIBUTING.md"], ["CONTRIBUTING.md"]),
        ([".github/CONTRIBUTING.md", "src/AGENTS.md"], [".github/CONTRIBUTING.md", "src/AGENTS.md"]),
        (["CONTRIBUTING.md", "GEMINI.md", "CLAUDE.md"], ["CLAUDE.md"]),
    ],
)
def test_where_the_root_has_none_for_agents_what_it_tells_people_applies(
    files: list[str], found: list[str]
) -> None:
    assert list(guidance_for(files, ["src/"])) == found


def test_of_very_many_the_deepest_apply() -> None:
    folders = ["/".join("abcdefghijklmno"[:depth]) for depth in range(1, 15)]
    found = guidance_for(["AGENTS.md", *(f"{folder}/AGENTS.md" for folder in folders)], [f"{folders[-1]}/x"])
    assert len(found) == MOST
    assert (found[0], found[-1]) == ("AGENTS.md", f"{folders[-1]}/AGENTS.md")


def test_what_they_include_stands_behind_them_once() -> None:
    said = {
        "AGENTS.md": b"See @CLAUDE.md\n",
        "CLAUDE.md": b"- @docs/style.md\r\nor me@AGENTS.md\n@../out.md\n@/etc/passwd\n@gone.md\n",
        "docs/style.md": b"@more.md.\n@../AGENTS.md\n",
        "docs/more.md": b"@most.md",
        "docs/most.md": b"no further",
        "src/AGENTS.md": b"@../docs/more.md\n",
    }
    behind = ["CLAUDE.md", "docs/style.md", "docs/more.md"]
    found = with_included(said, ["AGENTS.md", "src/AGENTS.md"])
    assert list(found) == ["AGENTS.md", *behind, "src/AGENTS.md"]
    wide = {"AGENTS.md": b"".join(b"@%d.md\n" % number for number in range(50))}
    wide |= {f"{number}.md": b"" for number in range(50)}
    assert len(with_included(wide, ["AGENTS.md"])) == MOST


async def test_it_is_shown_as_data_and_recorded_with_the_work(store: GitArtifactStore) -> None:
    model = ScriptedModel(code(src__a="x = 1\n"))
    said = {"AGENTS.md": b"Use tabs.\n", "src/AGENTS.md": b"No classes.\n````\nend\n", "lib/AGENTS.md": b"-"}
    task = TaskMaker(model)(base=BaseTree(said), writable=("src/a.py",))
    result = await CoderAgent().run(task)
    [asked] = model.requests
    prompt = asked.messages[0].text
    assert "## How this repository wants to be worked on" in prompt
    assert prompt.index("Use tabs.") < prompt.index("No classes.")
    assert "`````\nNo classes." in prompt, "a text cannot end its own block"
    commit = pending_commit(task, result, agent_info(CoderAgent), "e1", "c1")
    [written] = await store.write([commit])
    record = (await store.read_records("w1", written))["t1"]
    assert json.loads(record)["guidance"] == ["AGENTS.md", "src/AGENTS.md"]
    await store.publish([RefMove("w1", "t1", written)])
    [info] = await store.history("w1")
    assert info.trailers["Guidance"] == "AGENTS.md, src/AGENTS.md"


async def test_without_any_a_prompt_and_a_record_are_as_they_were(store: GitArtifactStore) -> None:
    model = ScriptedModel(code(a="x = 1\n"))
    task = TaskMaker(model)(base=BaseTree({"README.md": b"hello"}), writable=("a.py",))
    result = await CoderAgent().run(task)
    assert "How this repository" not in model.requests[0].messages[0].text
    [written] = await store.write([pending_commit(task, result, agent_info(CoderAgent), "e1", "c1")])
    assert "guidance" not in json.loads((await store.read_records("w1", written))["t1"])
