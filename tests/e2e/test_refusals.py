"""Plans that are wrong: each refused before anything starts, in words that a stranger understands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import InvalidInput
from multi_agent.application.plans import read_plan
from multi_agent.settings import Settings
from tests.e2e.conftest import Cli


def task(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"task_id": name, "title": name, "agent_role": "coder", "dependencies": list(needs), **more}


def plan(*items: dict[str, Any]) -> str:
    return json.dumps({"todo_list_id": "p", "request": "r", "items": items})


WRONG = {
    "a cycle": (plan(task("a", "c"), task("b", "a"), task("c", "b")), "a -> c -> b -> a"),
    "an unknown dependency": (plan(task("parse"), task("b", "prase")), "parse"),
    "a duplicate id": (plan(task("a"), task("a")), "$.items[1].task_id"),
    "two writers": (plan(task("a", output_artifacts=["x.py"]), task("b", output_artifacts=["x.py"])), "x.py"),
    "too many tasks": (plan(*(task(f"t{n}") for n in range(201))), "200"),
    "a path outside": (plan(task("a", output_artifacts=["../x"])), "../x"),
    "no JSON": ("{", "$"),
    "an unknown field": (plan(task("a", colour="red")), "$.items[0].colour"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plan_is_not_read(tmp_path: Path, name: str) -> None:
    text, said = WRONG[name]
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read_plan(file, Settings().max_tasks)
    assert said in str(refused.value)


@pytest.mark.parametrize("command", [("submit",), ("run", "--plan")], ids=["submit", "run"])
def test_a_wrong_plan_is_refused(cli: Cli, command: tuple[str, ...]) -> None:
    for name in ("too many tasks", "an unknown field"):
        text, said = WRONG[name]
        cli.write({"plan.json": text})
        assert said in cli(*command, "plan.json", code=2).stderr
        assert not (cli.folder / ".multi_agent").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "x", "--plan", "y"),
        ("run", "--plan", "missing.json"),
        ("run", "x", "--model", "gpt"),
        ("run", "x", "--model", "openai:x"),
        ("submit", "missing.json"),
        ("status", "nothing"),
        ("events",),
        ("frobnicate",),
        ("worker",),
        ("run", "x", "--agents", "no_such_module"),
    ],
)
def test_wrong_use_is_exit_code_two_and_one_message(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli(*words, code=2).stderr.strip()


def test_wrong_settings_name_the_setting(cli: Cli) -> None:
    assert (
        "MULTI_AGENT_WORKERS is 'many'; set it to a whole number"
        in cli("run", "x", code=2, MULTI_AGENT_WORKERS="many").stderr
    )
    assert "sqlite:///" in cli("status", code=2, DATABASE_URL="mysql://x/y").stderr


def test_a_sandbox_that_is_not_there_is_refused_before_anything_runs(cli: Cli) -> None:
    words = ("run", "Create momentum strategy", "--sandbox", "docker")
    ended = cli(*words, code=2, DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert "no sandbox is ready" in ended.stderr


def test_help_doctor_and_completion(cli: Cli) -> None:
    for words in (("--help",), ("run", "--help"), ("db", "--help"), ("--version",)):
        assert cli(*words).stdout
    found = {finding["name"]: finding for finding in cli.json("doctor")}
    assert found["git"]["found"]
    assert found["sandbox"]["found"]
    for shell in ("bash", "zsh", "fish"):
        assert "_MULTI_AGENT_COMPLETE" in cli("completion", shell).stdout


def test_a_second_orchestrator_on_sqlite_is_refused(cli: Cli) -> None:
    first = cli.start("up")
    lock = cli.folder / ".multi_agent" / "orchestrator.lock"
    cli.until(lock.exists, "the first orchestrator")
    ended = cli("orchestrator", code=2, REDIS_URL="redis://127.0.0.1:1")
    assert "another orchestrator (process" in ended.stderr
    first.terminate()
    assert first.wait(30) == 0
