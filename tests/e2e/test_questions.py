"""`why`, `verify`, `db backup` and the limit on open workflows, from the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.conftest import Cli
from tests.e2e.test_outages import store_workflow
from tests.orchestrator.plans import WORKFLOW, Play, item, plan

PLAN = Path(__file__).parents[2] / "contracts" / "sample_todo_list.json"


async def test_why_and_verify_answer_from_the_database(cli: Cli) -> None:
    state = cli.folder / ".multi_agent" / "state.db"
    state.parent.mkdir()
    play = Play(plan(item("a"), item("b", "a", requires_approval=True), item("c", "b")))
    await store_workflow(f"sqlite:///{state}", play)
    told = cli.json("why", WORKFLOW, MULTI_AGENT_LEASE_SECONDS="1.5")["reasons"]
    assert [(one["task_id"], one["code"]) for one in told] == [
        (None, "no_orchestrator"),
        ("a", "no_worker"),
        ("b", "dependency"),
        ("c", "dependency"),
    ]
    only = cli("why", WORKFLOW, "b", MULTI_AGENT_LEASE_SECONDS="1.5").stdout.splitlines()
    assert only[-1:] == ["b: waits for a, which is ready and no worker serves role coder"]

    # What the last `up` left: the address of a private Redis that runs no more.
    (state.parent / "stack.lock").write_text('{"redis_url": "unix:///nowhere/redis.sock"}')
    kept = cli("verify")
    assert "Redis does not run" in kept.stderr
    assert [line.split()[:2] for line in kept.stdout.splitlines()] == [
        [f"I{number}", "kept"] for number in (1, 2, 3, 6)
    ]
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("UPDATE workflows SET open_tasks = 7")
    broken = cli.json("verify", code=1, MULTI_AGENT_LEASE_SECONDS="1.5")
    assert broken["checked"]["I1"] == 3
    assert [(one["promise"], one["workflow_id"]) for one in broken["violations"]] == [("I1", WORKFLOW)]
    assert broken["violations"][0]["message"].startswith("3 tasks are open")


def test_too_many_open_workflows_are_busy_and_a_backup_holds_them(cli: Cli) -> None:
    cli.env["MULTI_AGENT_MAX_OPEN_WORKFLOWS"] = "1"
    cli("submit", str(PLAN), "--workflow-id", "one")
    refused = cli("submit", str(PLAN), "--wait", "0.1", code=4)
    assert refused.stderr.startswith("Error: 1 workflows are open, the limit is 1; ")
    cli("db", "backup", "copy.db")
    with closing(sqlite3.connect(cli.folder / "copy.db")) as connection:
        assert connection.execute("SELECT workflow_id FROM commands").fetchall() == [("one",)]
    assert "exists already" in cli("db", "backup", "copy.db", code=2).stderr
