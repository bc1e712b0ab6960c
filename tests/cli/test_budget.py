"""What a spent budget looks like, and the command that raises it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contracts.base.errors import InvalidInput, NotConfigured
from contracts.messages.budget import Amount, Budget, SpendingLimits
from contracts.ports.model import PURSE
from multi_agent.application.notices import Notice, Notices
from multi_agent.application.spending.budgets import find_budget, planning_within
from multi_agent.cli import cli
from multi_agent.settings import load_settings
from orchestrator.core.commands import BudgetBody, SubmitBody, read_body
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.artifacts.builders import commit_all, git
from tests.release.history import Desk, item

SAID = "spent $0.4000 of $0.5000, next needs $0.2000"
BUDGET = Budget(workflow=SpendingLimits.of(0.5))


async def wait_for_budget(desk: Desk) -> None:
    """A workflow `sma`, whose only task `code` waits for more to spend."""
    await desk.submit("sma", item("code"), budget=BUDGET)
    spent = {"total": {"micro_usd": 400_000, "tokens": 9}}
    why = {"budget": {"micro_usd": 200_000, "tokens": 50}}
    await desk.finish("sma", "code", status="suspended", suspended=why, spent=spent)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asyncio.run(_write(f"sqlite:///{tmp_path / 'state.db'}"))
    return tmp_path


async def _write(url: str) -> None:
    upgrade(url)
    database = open_database(url)
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("free", item("code"))
    await wait_for_budget(desk)
    await database.close()


def run(data: Path, *words: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, [*words, "--data-dir", str(data)], env=env)


def bodies(data: Path, kind: str) -> list[object]:
    connection = sqlite3.connect(data / "state.db")
    rows = connection.execute("SELECT kind, body FROM commands WHERE kind = ?", (kind,)).fetchall()
    connection.close()
    return [read_body(*row) for row in rows]


def test_it_is_shown_wherever_one_looks(data: Path) -> None:
    for words in (("budget", "show", "sma"), ("status", "sma"), ("status", "--waiting"), ("watch", "sma")):
        shown = run(data, *words).output
        assert SAID in shown, words
        assert "multi-agent budget raise sma 0.60" in shown, words
    assert "needs budget" in run(data, "status", "sma").output
    assert "1 budgets" in run(data, "status").output
    assert "free: no budget" in run(data, "budget", "show", "free").output
    state = json.loads(run(data, "budget", "show", "sma", "--json").output)
    assert (state["limit_usd"], state["spent_usd"], state["needs_usd"]) == (0.5, 0.4, 0.2)
    assert (state["waiting"], state["sentence"], state["limit_tokens"]) == (["code"], SAID, None)
    [waits] = json.loads(run(data, "status", "--json").output)["budgets"]
    assert waits == {"workflow_id": "sma", "task_id": "code", "reason": SAID}
    events = run(data, "events", "sma").output
    assert "code: out of budget (attempt 1, needs_usd 0.2, needs_tokens 50)" in events


def test_what_is_gone_of_the_day_is_shown_and_a_workflow_needs_a_budget_of_its_own(data: Path) -> None:
    env = {"MULTI_AGENT_DAY_BUDGET": "2"}
    shown = run(data, "budget", "show", "sma", env=env).output
    said = "$0.5000 set aside for those that are open, $0.0000 spent by those that have ended, of $2.0000"
    assert f"all workflows today: {said}" in shown
    with pytest.raises(InvalidInput, match=r"all workflows of a day may spend \$2\.00 .* give --budget USD"):
        find_budget(load_settings({"day_budget": 2.0}), None, lambda: None, print)
    raised = run(data, "budget", "raise", "sma", "2.5", env=env)
    assert "this one may spend $2.00; wait until others have ended" in str(raised.exception)


def test_it_is_raised_and_nonsense_is_refused_by_name(data: Path) -> None:
    told = run(data, "budget", "raise", "sma", "2", "--tokens", "5000").output
    assert "noted: sma may spend $2.0000 and 5,000 tokens in all" in told
    limits = [body.limits for body in bodies(data, "budget") if isinstance(body, BudgetBody)]
    assert limits == [SpendingLimits(micro_usd=2_000_000, tokens=5_000)]
    for words in (
        ("sma",),
        ("sma", "0"),
        ("sma", "-1"),
        ("sma", "nan"),
        ("sma", "much"),
        ("sma", "--tokens", "0"),
    ):
        assert run(data, "budget", "raise", *words).exit_code == 2, words


def test_submit_keeps_what_may_be_spent(data: Path) -> None:
    plan = Path(__file__).parents[2] / "contracts" / "sample_todo_list.json"
    run(data, "submit", str(plan), "--workflow-id", "one", "--budget", "2.5", "--budget-tokens", "1000")
    run(data, "submit", str(plan), "--workflow-id", "two")
    found = [body.budget for body in bodies(data, "submit") if isinstance(body, SubmitBody)]
    assert found[-2:] == [Budget(workflow=SpendingLimits.of(2.5, 1_000)), None]
    for wrong in ("0", "-1", "1e9", "inf", "nan"):
        refused = run(data, "submit", str(plan), "--budget", wrong)
        assert (refused.exit_code, "--budget" in refused.output) == (2, True)


def test_what_a_repository_says_is_submitted_only_where_it_can_be_counted(data: Path, tmp_path: Path) -> None:
    plan, repo = Path(__file__).parents[2] / "contracts" / "sample_todo_list.json", tmp_path / "repo"
    repo.mkdir()
    (repo / ".multi-agent.toml").write_text("budget_usd = 2\n")
    git(repo, "init", "-q")
    commit_all(repo)
    for model, kept in (("openai:of-a-neighbour", None), ("replay", Budget(workflow=SpendingLimits.of(2.0)))):
        environment = {"MULTI_AGENT_MODEL": model, "OPENAI_API_KEY": "k"}
        told = run(data, "submit", str(plan), "--repo", str(repo), env=environment)
        assert told.exit_code == 0, told.output
        assert ("the repository's budget of $2.00 is not kept" in told.output) == (kept is None)
        *_, last = (body for body in bodies(data, "submit") if isinstance(body, SubmitBody))
        assert last.budget == kept


async def test_it_is_told_of_once(data: Path) -> None:
    database = open_database(f"sqlite:///{data / 'state.db'}")
    notices = Notices(Desk(database).client)
    await notices.begin()
    assert await notices.new() == [Notice("budget.waiting", "sma", "code", reason=SAID)]
    assert await notices.new() == []
    await database.close()


async def test_a_plan_is_made_within_the_budget_or_nothing_begins() -> None:
    async with planning_within(BUDGET) as purse:
        purse.settle(await purse.reserve("r", Amount(micro_usd=400_000)), Amount(micro_usd=300_000))
    assert purse.spent == Amount(micro_usd=300_000)
    with pytest.raises(InvalidInput) as caught:
        async with planning_within(BUDGET) as purse:
            await purse.reserve("r", Amount(micro_usd=600_000))
    assert str(caught.value) == (
        "budget: too small to make a plan: spent $0.0000 of $0.5000, next needs $0.6000; "
        "give more (--budget, --budget-tokens)"
    )
    async with planning_within(None) as purse:
        await purse.reserve("r", Amount(micro_usd=10**9))
    assert PURSE.get() is None


def _no_price() -> None:
    raise NotConfigured("no price")


def test_a_new_workflow_may_spend_what_is_set_and_at_most_what_its_repository_says() -> None:
    said: list[str] = []
    assert find_budget(load_settings(), None, _no_price, said.append) is None
    settings = load_settings({"budget": 3, "task_budget_tokens": 9, "role_budgets": "coder=1.5, tester=0.25"})
    found = find_budget(settings, 2.0, lambda: None, said.append)
    assert found == Budget(
        workflow=SpendingLimits.of(2.0),
        task=SpendingLimits.of(None, 9),
        roles={"coder": SpendingLimits.of(1.5), "tester": SpendingLimits.of(0.25)},
    )
    assert not said
    with pytest.raises(NotConfigured, match="no price"):
        find_budget(load_settings({"task_budget": 1}), None, _no_price, said.append)
    tokens = load_settings({"budget_tokens": 5})
    assert find_budget(tokens, 2.0, _no_price, said.append) == Budget(workflow=SpendingLimits.of(None, 5))
    assert said == ["the repository's budget of $2.00 is not kept: no prices are set"]
    own = load_settings({"budget": 1})
    assert find_budget(own, 2.0, _no_price, said.append, served_elsewhere=True) == Budget(
        workflow=SpendingLimits.of(1.0)
    )
    for wrong in ("coder", "coder=x", "=1", "coder=0", "coder=nan", "coder=1,", "Coder=1", "a=1,a=2"):
        with pytest.raises(InvalidInput, match="MULTI_AGENT_ROLE_BUDGETS holds"):
            load_settings({"role_budgets": wrong}).wanted_budget()


def test_a_run_is_estimated_by_those_that_have_ended(tmp_path: Path) -> None:
    asyncio.run(_ended(f"sqlite:///{tmp_path / 'state.db'}"))
    env = {"OPENAI_API_KEY": "k", "MULTI_AGENT_MODEL": "openai:gpt-4.1,openai:nobody-knows"}
    shown = run(tmp_path, "budget", "estimate", env=env).output
    likely = "likely 2,000 tokens, 9,000 if it goes as the dearest did"
    assert f"a run, by 3 that ended: {likely}" in shown
    assert "openai:gpt-4.1: likely $0.0100, $0.0450 as the dearest" in shown
    assert "openai:nobody-knows: price unknown" in shown
    plan = Path(__file__).parents[2] / "contracts" / "sample_todo_list.json"
    count = len(json.loads(plan.read_text())["items"])
    told = json.loads(run(tmp_path, "budget", "estimate", str(plan), "--json", env=env).output)
    assert (told["runs"], told["tasks"], told["likely_tokens"]) == (3, count, 2_000 * count)
    assert told["models"][1] == {"model": "openai:nobody-knows", "likely_usd": None, "dearest_usd": None}


def test_without_a_run_there_is_nothing_to_go_by(data: Path) -> None:
    assert "no run has ended here yet" in run(data, "budget", "estimate").output


async def _ended(url: str) -> None:
    upgrade(url)
    database = open_database(url)
    desk = Desk(database)
    await desk.start("orchestrator-1")
    error = {"code": "bad", "message": "bad", "retryable": False}
    for number, tokens in enumerate((500, 1_000, 4_500, 0)):
        usage = {"model_calls": 1, "input_tokens": tokens, "output_tokens": tokens}
        await desk.submit(f"w{number}", item("code"))
        await desk.finish(f"w{number}", "code", status="failed", error=error, usage=usage)
    await desk.submit("open", item("code"))
    await database.close()
