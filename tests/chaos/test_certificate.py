"""A short certificate on the real system, and what its report says."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from contracts.base.errors import DecodeError
from contracts.documents.plan_checks import PlanLimits, parse_plan
from contracts.messages.events import decode
from multi_agent.chaos.checks import FailedCheck, working_in
from multi_agent.chaos.faults import FAULTS
from multi_agent.chaos.load import expected_files, poison_plan, random_plan
from multi_agent.chaos.malformed import malformed
from multi_agent.chaos.report import Certificate
from multi_agent.chaos.runner import FaultResult, Figures
from tests.chaos.mutants import MUTANTS, mutated
from tests.e2e.conftest import Cli, cli
from tests.support import need

__all__ = ["cli"]


def certificate(cli: Cli, *words: str) -> dict[str, object]:
    need(bool(shutil.which("redis-server")), "redis-server is not installed")
    cli.seconds = 280
    cli("chaos", "--minutes", "0", "--seed", "suite", *words)
    document: dict[str, object] = json.loads((cli.folder / "chaos-report" / "report.json").read_text())
    return document


def test_a_short_certificate_on_sqlite(cli: Cli) -> None:
    faults = "worker-kill,failpoint-kill,redis-flush,link-cut,duplicates"
    report = certificate(cli, "--round-seconds", "5", "--faults", faults)
    assert report["violations"] == 0
    rows = report["faults"]
    assert isinstance(rows, list)
    assert [row["fault"] for row in rows] == faults.split(",")
    assert all(row["injections"] > 0 for row in rows), rows
    page = (cli.folder / "chaos-report" / "report.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_short_certificate_on_postgresql_with_two_orchestrators(cli: Cli) -> None:
    faults = "orchestrator-kill,postgres-kill,lost-answer"
    report = certificate(cli, "--round-seconds", "4", "--postgres", "--faults", faults)
    assert report["violations"] == 0


def test_a_killed_certificate_leaves_no_process(cli: Cli) -> None:
    need(bool(shutil.which("redis-server")), "redis-server is not installed")
    scratch = cli.folder / ("a-temporary-folder-too-long-for-a-socket-" * 2)
    scratch.mkdir()
    running = cli.start("chaos", "--faults", "worker-kill", TMPDIR=str(scratch))
    cli.until(lambda: running.poll() is not None or len(working_in(scratch)) > 3, "its processes")
    assert running.poll() is None, running.communicate()
    running.kill()
    running.wait()
    cli.until(lambda: not working_in(scratch), "the end of its processes", 20)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--faults", "earthquake"), "'earthquake': unknown; known are"),
        (("--faults", "postgres-kill"), "needs --postgres"),
        (("--replay", "what"), "must look like 7/redis-flush/0"),
    ],
)
def test_wrong_use(cli: Cli, words: tuple[str, ...], message: str) -> None:
    assert message in cli("chaos", *words, code=2).stderr


def test_the_list_names_every_fault(cli: Cli) -> None:
    shown = cli("chaos", "--list").stdout
    assert [line.split()[0] for line in shown.splitlines()] == [fault.name for fault in FAULTS]


def test_the_load_is_valid_and_repeatable() -> None:
    for seed in range(200):
        plan = random_plan(f"p{seed}", random.Random(seed), sandbox=0.1)
        assert plan == random_plan(f"p{seed}", random.Random(seed), sandbox=0.1)
        assert parse_plan(plan.model_dump_json().encode(), PlanLimits()) == plan
        assert len(expected_files(plan)) == len(plan.items)
    assert parse_plan(poison_plan("poison-1").model_dump_json().encode(), PlanLimits())


def test_malformed_messages_are_refused_and_never_crash_the_reader() -> None:
    chance = random.Random(1)
    sample = (Path(__file__).parents[2] / "contracts/schema/samples/event.json").read_bytes()
    results: Counter[str] = Counter()
    for _ in range(3_000):
        try:
            decode(malformed(chance, [sample]))
            results["read"] += 1
        except DecodeError:
            results["refused"] += 1
    assert results["refused"] > 2_000
    assert results["read"] > 0, "nothing that nearly fits was made"


def test_the_report_counts_bounds_and_names_what_to_replay() -> None:
    good, bad = FaultResult(FAULTS[0], injections=300, rounds=2), FaultResult(FAULTS[1], injections=5)
    bad.findings.append(("7/orchestrator-kill/0", FailedCheck("I1", "w <b>has</b> not ended")))
    report = Certificate("7", "SQLite", 1.0, [good, bad], Figures(tasks=5, timeline=[(0.1, "done", 5)]), [])
    document = report.as_json()
    assert document["violations"] == 1
    assert [row["bound"] for row in document["faults"]] == [0.01, None]
    text = "\n".join(report.lines())
    assert "< 1.00%" in text
    assert "VIOLATION of I1 in 7/orchestrator-kill/0" in text


def test_a_page_shows_text_as_text(tmp_path: Path) -> None:
    bad = FaultResult(FAULTS[1], injections=5)
    bad.findings.append(("7/orchestrator-kill/0", FailedCheck("I1", "<script>alert(1)</script>")))
    Certificate("7", "SQLite", 1.0, [bad], Figures(), []).write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_applies(mutant: object) -> None:
    with mutated(mutant) as folder:  # type: ignore[arg-type]  # pytest hides the type
        assert (folder / "orchestrator" / "service" / "orchestrator.py").exists()
