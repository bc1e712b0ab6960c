"""Every `multi-agent` command of the pages is typed as it stands, here or in the test that is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from contracts.messages.budget import Budget, SpendingLimits
from multi_agent.application.rollouts.changes import a_person, start_rollout
from multi_agent.rollout.plan import RolloutPlan
from orchestrator.client.rollouts import RolloutStore
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.cli.unserved import DATA
from tests.e2e.conftest import Cli
from tests.project.documented import ROOT, documented_commands
from tests.release.history import Desk, item

PLAN = "plans/create-a-simple-sma-crossover-strategy-b478d538ab.json"
DAY = (
    ("plan", "Create a simple SMA crossover strategy", "-o", "plans"),
    ("plan", "--check", PLAN),
    ("submit", PLAN, "--workflow-id", "sma"),
    ("watch", "sma"),
    ("status",),
    ("status", "--waiting"),
    ("why",),
    ("why", "sma"),
    ("events",),
    ("observe",),
    ("observe", "debug", "--for", "5m"),
    ("observe", "debug", "--workflow", "sma"),
    ("observe", "shipping"),
    ("trace",),
    ("trace", "sma"),
    ("artifacts",),
    ("artifacts", "--checkout", "my-result"),
    ("diff",),
    ("verify",),
    ("audit", "list", "--workflow", "sma"),
    ("audit", "verify"),
    ("audit", "export"),
    ("db", "backup", "state-copy.db"),
    ("dead-letters", "list"),
    ("doctor",),
    ("completion", "bash"),
    ("redis-acl",),
    ("chaos", "--list"),
    ("--help",),
)
"""In this order, in a folder that `up` serves."""


async def _waits(desk: Desk) -> None:
    await desk.submit("sma", item("code", requires_approval=True))


async def _asks(desk: Desk) -> None:
    await desk.submit("sma", item("code"), questions=True)
    asked = {"question": {"text": "Which rounding?", "choices": ["half up", "to even"]}}
    await desk.finish("sma", "code", status="suspended", suspended=asked)


async def _spent(desk: Desk) -> None:
    await desk.submit("sma", item("code"), budget=Budget(workflow=SpendingLimits.of(2.5)))
    why = {"budget": {"micro_usd": 3_000_000}}
    await desk.finish("sma", "code", status="suspended", suspended=why)


async def _nothing(desk: Desk) -> None:
    """Nothing is there yet."""


async def _rolls_out(desk: Desk) -> None:
    store = RolloutStore(desk.database)
    await start_rollout(store, "first-try", RolloutPlan(), a_person(), 1_000_000.0)


async def _failed(desk: Desk) -> None:
    await desk.submit("sma", item("code", max_retries=0))
    await desk.fail("sma", "code", "broken")


async def _killed(desk: Desk) -> None:
    await desk.submit("sma", item("code"))
    for _ in range(3):
        await desk.lose("sma", "code")


SITUATIONS: Sequence[tuple[Callable[[Desk], Awaitable[None]], tuple[tuple[str, ...], ...]]] = (
    (_waits, (("approve", "sma", "--show"), ("approve", "sma"))),
    (
        _waits,
        (
            ("approvals", "list"),
            ("approvals", "show", "sma"),
            ("approvals", "approve", "sma", "--comment", "looks right"),
        ),
    ),
    (
        _waits,
        (
            ("approvals", "show", "--all"),
            ("approvals", "approve", "--all", "--risk", "medium"),
        ),
    ),
    (_waits, (("approvals", "reject", "sma", "--comment", "not this way"),)),
    (_waits, (("reject", "sma", "--reason", "not this way"),)),
    (_asks, (("answer", "sma", "--show"), ("answer", "sma", "to even"))),
    (_spent, (("budget", "show", "sma"), ("budget", "raise", "sma", "5"))),
    (_waits, (("cancel", "sma"),)),
    (_rolls_out, (("rollout", "status"), ("rollout", "report", "-o", "rollout.html"))),
    (_rolls_out, (("rollout", "promote", "--closed", "--reason", "tried on our own requests"),)),
    (_rolls_out, (("rollout", "rollback", "--reason", "answers were wrong"),)),
    (_nothing, (("rollout", "start", "first-try"),)),
    (_failed, (("retry", "sma"),)),
    (_failed, (("retry", "sma", "--fresh"),)),
    (_killed, (("dead-letters", "show", "1"), ("dead-letters", "retry", "1"))),
    (_killed, (("dead-letters", "discard", "1"),)),
)
"""What is typed one after the other where something waits for a person. Nobody serves the folder."""

ELSEWHERE = {
    ("apply",): "tests/e2e/test_requests.py",
    ("diff",): "tests/e2e/test_requests.py",
    ("approvals", "always"): "tests/cli/test_approvals.py",
    ("approvals", "policy"): "tests/cli/test_approvals.py",
    ("baseline",): "tests/cli/test_baseline.py",
    ("chaos",): "tests/chaos/test_certificate.py",
    ("debug",): "tests/gateway/test_page.py",
    ("doctor", "--sandbox", "host"): "tests/e2e/test_sandbox_host.py",
    ("environment",): "tests/cli/test_environment.py",
    ("gateway",): "tests/gateway/test_page.py",
    ("gateway-key",): "tests/gateway/test_page.py",
    ("logs", "-f"): "tests/cli/test_logs_command.py",
    ("map",): "tests/cli/test_map.py",
    ("orchestrator",): "tests/e2e/test_orchestrators.py",
    ("pr",): "tests/delivery/test_pull_requests.py",
    ("rollout", "serve"): "tests/rollout/test_page.py",
    ("run",): "tests/e2e/test_requests.py",
    ("sandbox",): "tests/sandbox/test_sandbox_command.py",
    ("budget", "estimate"): "tests/cli/test_budget.py",
    ("trace", "sma", "--export"): "tests/telemetry/test_export.py",
    ("submit", "plan.json", "--budget-tokens"): "tests/cli/test_budget.py",
    ("up",): "tests/e2e/test_sandbox_host.py",
    ("worker",): "tests/e2e/test_sandbox_host.py",
}
"""By how the command begins: these last, need an engine or a model, or name other machines."""


def test_a_day(cli: Cli) -> None:
    cli.start("up")
    for words in DAY:
        cli(*words)
    assert (cli.folder / "my-result" / "sma_crossover" / "strategy.py").exists()


@pytest.mark.parametrize(
    ("prepare", "commands"), SITUATIONS, ids=[" ".join(commands[0]) for _, commands in SITUATIONS]
)
def test_what_waits_for_a_person(
    prepare: Callable[[Desk], Awaitable[None]], commands: tuple[tuple[str, ...], ...], tmp_path: Path
) -> None:
    (tmp_path / DATA).mkdir()
    asyncio.run(_at_a_desk(f"sqlite:///{tmp_path / DATA / 'state.db'}", prepare))
    cli = Cli(tmp_path)
    for words in commands:
        cli(*words)


async def _at_a_desk(url: str, prepare: Callable[[Desk], Awaitable[None]]) -> None:
    upgrade(url)
    database = open_database(url)
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await prepare(desk)
    await database.close()


def test_no_command_of_the_pages_is_left_out() -> None:
    typed = {*DAY, *(words for _, commands in SITUATIONS for words in commands)}
    found = {one.words[1:] for one in documented_commands() if Path(one.words[0]).name == "multi-agent"}
    begins = tuple(ELSEWHERE)
    left = found - typed - {()}
    assert {words for words in left if not any(words[: len(one)] == one for one in begins)} == set()
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []
