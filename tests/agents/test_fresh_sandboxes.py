"""Programs of a run from a repository: each has a fresh sandbox, over the committed tree with changes."""

from __future__ import annotations

import json

import pytest

from agents import AgentResult, Task
from agents.roles.tester import TesterAgent
from agents.sdk.changed_tree import ChangedTree
from agents.sdk.workplace import Workplace
from artifacts.store.git_store import GitArtifactStore
from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import SandboxRequest, SandboxResult
from contracts.ports.trees import TreeBase, TreeFile
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    Environment,
    Preparation,
    Workspace,
    WorkspaceLimits,
)
from tests.agents.actors import doing
from tests.agents.at_work import AtWork
from tests.agents.support import ScriptedModel
from tests.artifacts.builders import outcome as outcome_of
from tests.e2e.person import steps


async def test_programs_of_a_run_from_a_repository_get_the_whole_tree(at_work: AtWork) -> None:
    """Links and modes are there, with what the agent lays over it; a fresh sandbox each time."""
    ends: list[SandboxResult] = []
    look = (
        "readlink link; test -x run.sh && echo runs; cat new; git log --format=%s; ls left empty; touch left"
    )

    async def work(task: Task) -> AgentResult:
        tree = ChangedTree(task.files, {"new": b"new\n", "empty": None})
        for _ in range(2):
            ended = await task.run_sandbox(("sh", "-c", look), files=tree, collect=["new", "deep/", "no"])
            ends.append(ended)
        return AgentResult(summary="done")

    outcome = await at_work.outcome(at_work.request(), doing(work))
    assert outcome.status == "succeeded", outcome
    for ended in ends:
        assert ended.stdout == b"a.txt\nruns\nnew\nsecond\nfirst\n"
        assert ended.stderr.count(b"cannot access") == 2
        assert ended.files == {"new": b"new\n", "deep/er/file.py": b"x = 1\n", "deep/other.py": b"y = 1\n"}
    assert len(ends) == 2


async def test_tests_that_are_not_committed_yet_run_over_links_programs_and_history(at_work: AtWork) -> None:
    tests = """
import os, subprocess

def test_tree():
    assert subprocess.run(["./run.sh"], capture_output=True).stdout == b"ran\\n"
    assert os.readlink("link") == "a.txt"
    assert open("folder-link/file.py").read() == "x = 1\\n"
    assert subprocess.check_output(["git", "tag"]).split() == [b"light", b"v1.0"]
"""
    request = at_work.request(
        role="tester",
        writable=["tests/"],
        acceptance_criteria={"tests": [{"cmd": "pytest tests"}]},
    )
    write, done = steps("written", tests__test_tree=tests)
    done["calls"][0]["arguments"]["why_none_fails"] = "the tree is as it was"
    model = ScriptedModel(json.dumps(write), json.dumps(done))
    outcome = await at_work.outcome(request, TesterAgent, model=model)
    why = "none of its tests fails without the work: the tree is as it was"
    assert (outcome.verdict, outcome.summary) == ("passed", f"1 passed, 0 failed; {why}")
    assert outcome.backend == "bubblewrap"


class Refusing:
    """Says what it was asked to open, and opens nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[TreeBase, Preparation]] = []

    async def offered(self) -> bool:
        return True

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
        *,
        brief: bool = False,
    ) -> Workspace:
        self.asked.append((base, preparation))
        raise SandboxUnavailable("refused")


@pytest.mark.parametrize(
    ("limits", "from_start"),
    [
        (WorkspaceLimits(), True),
        (WorkspaceLimits(changed_files=3), False),
        (WorkspaceLimits(changed_mb=1), False),
    ],
)
async def test_a_large_difference_has_a_checkout_of_its_own(
    project_store: GitArtifactStore, limits: WorkspaceLimits, from_start: bool
) -> None:
    [start] = await project_store.write([outcome_of("t1", {"old.py": b"1", "kept.py": b"k"})])
    made: dict[str, bytes | None] = {"old.py": b"2", "new.py": b"n" * 600_000, "kept.py": None}
    [commit] = await project_store.write([outcome_of("t2", made, (start,))])
    refusing = Refusing()
    request = SandboxRequest(("true",), read_only=("new.py",))
    with pytest.raises(SandboxUnavailable):
        await Workplace(refusing, project_store, limits).run(
            start, commit, {"old.py": b"3", "new.py": None}, request
        )
    [(base, preparation)] = refusing.asked
    assert base == TreeBase(start if from_start else commit)
    changes = preparation.changes
    assert changes.files == {"old.py": TreeFile(b"3")}
    assert set(changes.deleted) == ({"kept.py", "new.py"} if from_start else {"new.py"})
    assert preparation.read_only == ("new.py",)
