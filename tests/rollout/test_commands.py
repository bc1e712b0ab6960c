"""`multi-agent rollout` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from multi_agent.application.rollouts.standing import standing_of
from multi_agent.cli import cli
from multi_agent.cli.rollout.standing_text import standing_lines
from multi_agent.rollout.decision import decide
from multi_agent.rollout.figures import StageFigures
from multi_agent.rollout.plan import RolloutPlan
from multi_agent.rollout.report import CurvePoint, RolloutReport, render_report
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.cli.hostile import HOSTILE
from tests.rollout.days import Days


def said(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["rollout", *words, "--data-dir", str(folder / "data")])


def test_a_rollout_from_start_to_report(tmp_path: Path) -> None:
    begun = said(tmp_path, "start", "trial")
    assert begun.output.splitlines()[0] == "stage 1: 10 % of keys, 15 % in the shadow, at least 24 h"
    assert begun.output.splitlines()[-1] == "trial has begun with stage 1"
    status = json.loads(said(tmp_path, "status", "--json").output)
    assert (status["state"], status["stage"], status["percent"], status["shadow"]) == ("running", 1, 10, 15)
    went = said(tmp_path, "promote", "--closed", "--reason", "a trial")
    assert went.output == "trial is in stage 2: 25 %\n"
    back = said(tmp_path, "rollback", "--reason", "enough")
    assert back.output == "trial is rolled back: all traffic is the legacy arm's\n"
    shown = said(tmp_path, "status", "trial")
    assert shown.output.startswith("trial: rolled back, stage 2 of 5 since ")
    page = tmp_path / "page.html"
    assert said(tmp_path, "report", "-o", str(page)).output == f"written: {page}\n"
    text = page.read_text()
    assert "<td>rollback</td><td>2</td>" in text
    assert "enough" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("promote",), "no rollout runs"),
        (("rollback", "--reason", "x"), "no rollout runs"),
        (("status",), "there is no rollout yet"),
        (("status", "other"), "there is no rollout other"),
        (("report",), "there is no rollout yet"),
        (("start", "a b"), "the name 'a b' cannot be used"),
        (("start", "a", "--plan", "absent.json"), "the plan absent.json cannot be read: No such file"),
        (("promote", "--closed"), "--closed needs a --reason"),
        (("rollback",), "Missing option '--reason'"),
        (("serve", "--host", "0.0.0.0"), "set MULTI_AGENT_ROLLOUT_TOKEN"),
    ],
)
def test_each_mistake_is_one_clear_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    upgrade(f"sqlite:///{tmp_path / 'data' / 'state.db'}")
    found = said(tmp_path, *words)
    assert found.exit_code != 0
    assert message in f"{found.output}{found.exception}"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("[", "the whole: Invalid JSON"),
        ('{"stages": [{"percent": 10, "hours": 1}]}', "the percents of the stages are [10]"),
        ('{"limits": {"cost_usd": -1}}', "limits.cost_usd: Input should be greater than 0"),
        ('{"colour": 1}', "colour: Extra inputs are not permitted"),
    ],
)
def test_a_plan_names_what_is_wrong(plan: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan)
    assert message in str(said(tmp_path, "start", "trial", "--plan", str(path)).exception)


async def test_status_shows_both_arms_and_each_condition(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    days = Days(database)
    await days.start()
    await days.requests(400)
    standing = await standing_of(days.store, None, days.now)
    lines = list(standing_lines(standing))
    assert lines[0].startswith("trial: running, stage 1 of 5 since ")
    assert "% succeeded, 2 s, $0.1000" in lines[1]
    assert "3 s, $0.4000, 0 findings" in lines[2]
    assert lines[-1] == "next: stay"
    points = tuple(CurvePoint(*one) for one in await days.store.curves("trial"))
    page = report_of("trial", points)
    assert page.count("<path d=") == 6, "two pictures, each with two curves and where the stage began"
    assert "<script" not in page
    assert "http" not in page
    await database.close()


def test_nothing_from_outside_is_markup_on_the_page() -> None:
    page = report_of(f"<b>{HOSTILE}", (CurvePoint(1.0, "legacy", 0, 1, 1, None),))
    assert "<b>" not in page
    assert "\x1b" not in page


def report_of(name: str, points: tuple[CurvePoint, ...]) -> str:
    plan, figures = RolloutPlan(), StageFigures()
    decision = decide(plan, 0, 0.0, figures)
    return render_report(RolloutReport(name, "running", 1, plan, figures, decision, (), points))
