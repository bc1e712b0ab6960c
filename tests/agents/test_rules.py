"""Commands that check what a coder wrote: which files they are given, what counts, and who is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.tools.checkers import checking, filled, findings, new_findings, without_places
from contracts.base.errors import AgentFailure
from contracts.documents.reports import BuildReport
from contracts.documents.repository_settings import RepositorySettings
from contracts.ports.sandbox import Isolation, Sandbox, SandboxResult, Verdict
from contracts.ports.text_form import in_text
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, ScriptedSandbox, TaskMaker, code
from tests.agents.test_repository_work import DONE, step

RUFF = "ruff check {file}"


def ended(exit_code: int, stdout: str = "", stderr: str = "") -> SandboxResult:
    verdict = Verdict.OK if exit_code == 0 else Verdict.FAILED
    return SandboxResult(
        verdict, exit_code, stdout.encode(), stderr.encode(), {}, 0.1, "scripted", Isolation.CONTAINER
    )


def rules(*commands: str) -> dict[str, Any]:
    return {"validation_rules": [{"type": "command", "command": command} for command in commands]}


async def answer(
    model: ScriptedModel, sandbox: Sandbox, *commands: str, base: dict[str, bytes] | None = None
) -> AgentResult:
    """What a coder that is asked once makes of its answers, under rules."""
    maker = TaskMaker(model, sandbox)
    return await CoderAgent().run(
        maker(base=BaseTree(base or {}), writable=["src/"], acceptance_criteria=rules(*commands))
    )


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("ruff check {file}", ("ruff", "check", "a.py", "b.py", "--output-format=concise")),
        ("ruff check --output-format=json {file}", ("ruff", "check", "--output-format=json", "a.py", "b.py")),
        ("ruff format --check {file}", ("ruff", "format", "--check", "a.py", "b.py")),
        ("python -m black --check {file}", ("black", "--check", "a.py", "b.py")),
        ("python app.py", ("python", "app.py")),
    ],
)
def test_a_checker_gets_all_files_at_once(command: str, wanted: tuple[str, ...]) -> None:
    assert filled(checking(command.split()), ["a.py", "b.py"]) == wanted


async def test_another_program_gets_them_one_by_one_in_one_sandbox(sandbox: Sandbox) -> None:
    command = "python -c 'import sys; print(sys.argv[1]); sys.exit(int(\"b\" in sys.argv[1]))' --of={file}"
    task = TaskMaker(sandbox=sandbox)()
    argv = filled(
        checking(["python", "-c", command.split("'")[1], "--of={file}"]), ["a b.py", "$(x).py", "-c.py"]
    )
    result = await task.run_sandbox(argv, files={})
    assert result.stdout.decode().splitlines() == ["--of=a b.py", "--of=$(x).py", "--of=./-c.py"]
    assert result.exit_code == 1, "one of them failed"


def test_findings_that_have_moved_are_not_new() -> None:
    tree = {"a.py": b"", "src/b.py": b""}
    before = findings(
        "b\nsrc/b.py:3:1: F811 redefinition of 'x' from line 1\na.py:1:8: F401 'os'\nFound 2", tree
    )
    assert before == ["a.py:1:8: F401 'os'", "src/b.py:3:1: F811 redefinition of 'x' from line 1"]
    now = [
        "./src/b.py:9:1: F811 redefinition of 'x' from line 7",
        "a.py:2:8: F401 'os'",
        "a.py:9:8: F401 'os'",
    ]
    now[0] = now[0].removeprefix("./")
    assert new_findings(now, without_places(before)) == ["a.py:9:8: F401 'os'"]


async def test_findings_go_back_to_who_wrote_the_file(sandbox: Sandbox) -> None:
    bad, good = "import os\n\nVALUE: int = 'one'\n", "VALUE: int = 1\n"
    old = b"import sys\n"
    model = ScriptedModel(
        code(src__app=bad, src__old="\nimport sys\n"), code(src__app=good, src__old="\nimport sys\n")
    )
    base = {"src/old.py": old}
    result = await answer(model, sandbox, RUFF, "mypy --strict {file}", base=base)
    told = model.requests[1].messages[-1].text
    assert "validation command 'ruff check {file}' failed: src/app.py:1:8: F401" in told
    assert "src/app.py:3: error: Incompatible types in assignment" in told
    assert "old.py" not in told, "what was found there was there before"
    assert isinstance(result.report, BuildReport)
    assert result.report.passed
    assert [run.cmd for run in result.report.runs] == [RUFF, "mypy --strict {file}"]


async def test_only_files_of_the_programs_language_are_checked() -> None:
    page = code(src__app="x = 1\n").replace("src/app.py", "src/app.mjs")
    sandbox = ScriptedSandbox(ended(0), ended(0))
    await answer(ScriptedModel(page), sandbox, RUFF, "node --check {file}")
    assert [request.argv[-1] for request in sandbox.requests[1:]] == ["src/app.mjs"], "no Python, so no ruff"


async def test_three_bad_answers_fail_the_attempt() -> None:
    sandbox = ScriptedSandbox(ended(0), *[ended(1, "src/app.py:1:1: F401 no\n")] * 3)
    model = ScriptedModel(*[code(src__app="import os\n")] * 3)
    with pytest.raises(AgentFailure, match="F401 no") as caught:
        await answer(model, sandbox, RUFF)
    assert caught.value.code == "validation_failed"


async def test_a_checker_that_is_not_there_is_no_fault_of_the_code() -> None:
    for before, result, rule in (
        (ended(0, "ruff\n"), None, RUFF),
        (ended(0), ended(127, stderr="sh: 1: eslint: not found\n"), "sh -c 'eslint $1' sh {file}"),
        (ended(0), ended(1, stderr="/usr/bin/python: No module named pylint\n"), "python -m pylint {file}"),
    ):
        model = ScriptedModel(code(src__app="x = 1\n"))
        with pytest.raises(AgentFailure, match="is not in the sandbox") as caught:
            await answer(model, ScriptedSandbox(*filter(None, (before, result))), rule)
        assert (caught.value.code, caught.value.retryable) == ("checker_missing", False)
        assert ("multi-agent[checks]" in str(caught.value)) == (rule == RUFF)
        assert "\n" not in str(caught.value)
        assert bool(model.requests) == (rule != RUFF), "nothing is paid for what can be known before"


async def test_a_checker_that_cannot_run_is_no_pass(sandbox: Sandbox) -> None:
    base = {"src/app.py": b"x = 1\n"}
    model = ScriptedModel(*[code(src__app="x = 2\n")] * 3)
    with pytest.raises(AgentFailure, match="unexpected argument"):
        await answer(model, sandbox, "ruff check --no-such {file}", base=base)


WRITE = step(("write", {"path": "src/app.py", "content": "import os\n"}))
MEND = step(("edit", {"path": "src/app.py", "old": "import os\n", "new": "x = 1\n"}))


async def in_steps(
    over_trees: OverTrees, model: ScriptedModel, said: RepositorySettings | None, *commands: str
) -> AgentResult:
    maker = TaskMaker(model, over_trees)
    task = maker(
        base=BaseTree({"old.py": b"import sys\n"}), writable=["src/"], acceptance_criteria=rules(*commands)
    )
    task = replace(task, request=task.request.model_copy(update={"repository": said}))
    assert task.workplace is not None
    async with task.workplace:
        return await CoderAgent().run(task)


async def test_in_steps_an_end_is_refused_with_the_findings(over_trees: OverTrees) -> None:
    model = ScriptedModel(WRITE, DONE, MEND, DONE)
    result = await in_steps(over_trees, model, None, RUFF)
    assert "refused: validation command" in in_text(model.requests[2]).messages[-1].text
    assert "src/app.py:1:8: F401" in in_text(model.requests[2]).messages[-1].text
    assert result.files == {"src/app.py": b"x = 1\n"}
    assert isinstance(result.report, BuildReport)


async def test_the_repositorys_own_commands_are_held_up_twice_and_then_told(over_trees: OverTrees) -> None:
    said = RepositorySettings(lint="ruff check .", type="no-such-checker", format="true")
    again = step(("read", {"path": "src/app.py"}))
    model = ScriptedModel(WRITE, DONE, again, DONE, again, DONE)
    result = await in_steps(over_trees, model, said)
    refused = in_text(model.requests[2]).messages[-1].text
    assert "refused: the repository's lint command 'ruff check .' failed: src/app.py:1:8: F401" in refused
    assert "old.py" not in refused
    assert result.report is None
    assert "F401" in result.summary
    assert "(not checked: type, as no-such-checker is not in the sandbox)" in result.summary
