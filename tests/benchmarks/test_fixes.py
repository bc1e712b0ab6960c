"""The benchmark of real bug fixes: what serves is chosen, and only the tests of the fix judge a result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from benchmarks.fixes.__main__ import choose, verdict
from benchmarks.fixes.again import RecordedService, tree_of
from benchmarks.fixes.beside import fix_in_a_loop
from benchmarks.fixes.choosing import candidates
from benchmarks.fixes.judging import Place, git
from contracts.base.errors import ModelRejected
from contracts.ports.content import TextBlock, ToolCall
from contracts.ports.model import ModelResponse, ModelTool
from multi_agent.models import ModelSettings, build_model
from multi_agent.settings import Settings
from sandbox_runner.local import bubblewrap
from tests.models.rigs import asking, write_recording
from tests.support import need

NAME = "owner/name"
WRONG = "def half(n):\n    return n // 2\n"
RIGHT = "def half(n):\n    return n / 2\n"
OLD_TEST = "from app import half\n\ndef test_even():\n    assert half(4) == 2\n"
DONE = ToolCall("finish", json.dumps({"summary": "Halves are exact."}), "call-2")
NEW_TEST = OLD_TEST + "\ndef test_odd():\n    assert half(3) == 1.5\n"


def _commit(repository: Path, message: str, files: dict[str, str]) -> str:
    for path, text in files.items():
        (repository / path).write_text(text)
    git("add", "--all", at=repository)
    git("commit", "-qm", message, at=repository)
    return git("rev-parse", "HEAD", at=repository)


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    """One repository: a fix, and after it what is none."""
    repository = tmp_path / "mirrors" / "owner+name" / "repo"
    repository.mkdir(parents=True)
    git("init", "-q", "-b", "main", at=repository)
    _commit(repository, "Begin", {"app.py": WRONG, "test_app.py": OLD_TEST})
    message = "Fix halves of odd numbers in app.py\n\nIt cut them off.\n\nSigned-off-by: A <a@localhost>"
    _commit(repository, message, {"app.py": RIGHT, "test_app.py": NEW_TEST})
    _commit(repository, "Fix nothing", {"test_app.py": NEW_TEST + "\n"})
    _commit(repository, "Add more", {"app.py": RIGHT + "\n", "test_app.py": NEW_TEST})
    return tmp_path / "mirrors"


def test_what_a_run_left_is_compared_by_its_files(mirrors: Path) -> None:
    repository = mirrors / "owner+name" / "repo"
    commit = _commit(repository, "Say it anew", {"more.txt": "more"})
    same = git("commit-tree", f"{commit}^{{tree}}", "-m", "Said otherwise", at=repository)
    assert tree_of({"store": str(repository), "commit": commit}) == tree_of(
        {"store": str(repository), "commit": None, "unverified": {"commit": same}}
    )
    assert tree_of({"store": str(repository), "commit": None}) == ""


def test_a_fix_says_so_and_changes_a_source_and_a_test(mirrors: Path) -> None:
    [found] = candidates(NAME, mirrors / "owner+name" / "repo" / ".git")
    assert found.request == "Fix halves of odd numbers in  \n\nIt cut them off."
    assert (found.sources, found.tests) == (("app.py",), ("test_app.py",))


@pytest.mark.slow
async def test_results_are_judged_by_the_tests_of_the_fix(mirrors: Path, tmp_path: Path) -> None:
    need(bubblewrap.find() is not None, "bubblewrap is not installed")
    place = Place(tmp_path / "judge", 60, 60)
    place.folder.mkdir()
    await choose([NAME], mirrors, tmp_path, place, 8, 2)
    case = tmp_path / "1"
    assert json.loads((case / "case.json").read_text())["mended"] == ["test_app.py::test_odd"]
    (case / "repository/kept").touch()
    await choose([NAME], mirrors, tmp_path, place, 8, 2)
    assert (case / "repository/kept").exists(), "what was chosen stays"
    (case / "repository/kept").unlink()

    async def ended(status: str, content: str) -> dict[str, Any]:
        git("checkout", "-q", "--detach", "main", at=case / "repository")
        commit = _commit(case / "repository", "A result", {"app.py": content, "more.txt": content})
        summary = {"status": status, "store": str(case / "repository"), "commit": commit}
        return await verdict(case, place, summary)

    right = await ended("completed", RIGHT)
    assert (right["fixed"], right["broken"]) == (True, [])
    wrong = await ended("completed", WRONG.replace("2", "3"))
    assert (wrong["fixed"], wrong["failing"]) == (False, ["test_app.py::test_odd"])
    assert wrong["broken"] == ["test_app.py::test_even"]

    edit = ToolCall("edit", json.dumps({"path": "app.py", "old": "//", "new": "/"}), "call-1")
    answers = [
        ModelResponse("", "one", 7, 3, blocks=(edit,)),
        ModelResponse("", "one", 9, 2, blocks=(DONE,)),
    ]
    recorded = [(asking(str(number)), answer) for number, answer in enumerate(answers)]
    with RecordedService(write_recording(tmp_path, "recording", recorded)) as service:
        git("checkout", "-q", "main", at=case / "repository")
        model = Settings(model="openai:any", openai_base_url=service.url, openai_api_key=SecretStr("none"))
        summary = await fix_in_a_loop(case, place, model)
    found = await verdict(case, place, summary)
    assert (found["fixed"], found["broken"]) == (True, [])
    assert (found["model_calls"], found["input_tokens"], found["output_tokens"]) == (2, 16, 5)


async def test_a_recorded_fix_is_answered_in_its_order_whatever_is_asked(tmp_path: Path) -> None:
    call = (TextBlock("I look."), ToolCall("read", '{"path": "app.py"}', "call-1"))
    answers = [ModelResponse("", "one", 7, 3, blocks=call), ModelResponse("Done.", "two", 9, 2)]
    asked = replace(asking("it took 0.31 s"), tools=(ModelTool("read", "Read a file.", {"type": "object"}),))
    recorded = [(replace(asked, system=str(number)), answer) for number, answer in enumerate(answers)]
    with RecordedService(write_recording(tmp_path, "recording", recorded)) as service:
        settings = ModelSettings(
            "openai:any", openai_api_key=SecretStr("none"), openai_base_url=service.url, max_attempts=1
        )
        model = build_model(settings)
        found = [await model.complete(replace(asked, system=f"{number}, 0.42 s")) for number in (5, 6)]
        assert (service.left, service.missing) == (0, 0)
        with pytest.raises(ModelRejected, match="no recorded answer is left"):
            await model.complete(asked)
        await model.close()
    assert service.missing == 1
    assert [one.contents for one in found] == [one.contents for one in answers]
    assert [(one.input_tokens, one.output_tokens) for one in found] == [(7, 3), (9, 2)]
