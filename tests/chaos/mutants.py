"""Protective lines, each taken away in a copy of the source: the checks must notice every one.

    python -m tests.chaos.mutants [--only NAME] [--seeds 3] [--write docs/mutants.md]

A mutant that no check catches is a line that nobody guards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "multi_agent",
    "contracts",
    "planner_service",
    "orchestrator",
    "agents",
    "sandbox_runner",
    "artifacts",
    "migrations",
    "tests",
)
SECONDS = 900


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` stands exactly once in the file and becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A protection taken away, and who must notice: chaos faults (by seed), or tests (pytest arguments).

    minutes: how long faults are injected, at least one round.
    """

    name: str
    protects: str
    edits: tuple[Edit, ...]
    faults: str = ""
    tests: tuple[str, ...] = ()
    round_seconds: int = 10
    minutes: float = 0.0
    postgres: bool = False


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "no-fence",
        "I3: an outcome must carry the current dispatch",
        (Edit("orchestrator/core/attempts.py", "if task.dispatch_id != dispatch_id:", "if False:"),),
        faults="zombie",
        round_seconds=15,
    ),
    Mutant(
        "accept-again",
        "I2: a task that is not out accepts no outcome",
        (
            Edit(
                "orchestrator/core/attempts.py", "if task.status is not TaskStatus.DISPATCHED:", "if False:"
            ),
            Edit("orchestrator/core/attempts.py", "if task.dispatch_id != dispatch_id:", "if False:"),
        ),
        faults="duplicates",
    ),
    Mutant(
        "publish-before-commit",
        "I3: nothing runs whose dispatch is not committed",
        (
            Edit(
                "orchestrator/service/term.py",
                'failpoint("orchestrator.before_commit")',
                "from contracts.ports.bus import Done; "
                "await handlers.publisher.publish(effects.dispatches, (), Done('orchestrators', ()))",
            ),
        ),
        faults="lost-answer",
    ),
    Mutant(
        "no-look",
        "I5: what a flushed Redis held is looked for and published again",
        (
            Edit(
                "orchestrator/service/fleet/workers.py",
                "inspected = await self.recovery.find_missing(list(self.engine.in_flight))",
                "inspected = True",
            ),
            Edit(
                "orchestrator/service/fleet/workers.py",
                "await self.recovery.find_missing(sorted(self._in_flight_before))",
                "pass",
            ),
        ),
        faults="redis-flush",
    ),
    Mutant(
        "groups-stay-lost",
        "I5: a group that somebody deleted is made anew",
        (Edit("orchestrator/service/publisher.py", "self._groups.clear()", "pass"),),
        faults="redis-flush",
    ),
    Mutant(
        "ack-on-arrival",
        "I1: a dispatch stays on its stream until its outcome is published",
        (
            Edit(
                "contracts/runtime/consumer.py",
                "if not self._settings.acks_late:",
                "if True:",
            ),
            Edit(
                "orchestrator/service/fleet/workers.py",
                "await self.recovery.find_missing(sorted(self._in_flight_before))",
                "pass",
            ),
        ),
        faults="worker-kill",
    ),
    Mutant(
        "outcomes-sent-once",
        "I5: an outcome is sent again until the owner has stored it",
        (
            Edit(
                "contracts/runtime/resend.py",
                "reply.due = now + reply.wait",
                "reply.due = float('inf')",
            ),
            Edit("contracts/runtime/resend.py", "self._now_due |= self._replies", "pass"),
            Edit(
                "contracts/runtime/resend.py",
                "reply = self._now_due[execution_id] = self._replies[execution_id]",
                "reply = self._replies[execution_id]",
            ),
        ),
        tests=("tests/runtime", "tests/agents/test_worker_redis.py"),
    ),
    Mutant(
        "crashes-uncounted",
        "I7: a task that kills its worker is parked",
        (
            Edit(
                "orchestrator/core/attempts.py",
                "crashes = task.crashes + event.alone",
                "crashes = task.crashes",
            ),
        ),
        faults="poison",
    ),
    Mutant(
        "answers-unstored",
        "I4: an answered model call is not paid for again",
        (
            Edit(
                "agents/sdk/exchange_log.py",
                "stored = await self._stored_answer(key)\n        if stored is None:",
                "stored = None\n        if stored is None:",
            ),
        ),
        faults="failpoint-kill",
        minutes=2.0,  # a round aims at a few points only
    ),
    Mutant(
        "no-epoch",
        "I3: a commit needs the epoch of its shards",
        (
            Edit(
                "orchestrator/storage/store.py",
                "    if not touched:\n",
                "    if True:\n",
            ),
        ),
        tests=("tests/orchestrator/test_store.py",),
    ),
    Mutant(
        "leases-always-advance",
        "I8: no lease runs out while the owner does not listen",
        (
            Edit("orchestrator/scheduling/leases.py", 'self._caught_up_at = float("-inf")', "pass"),
            Edit(
                "orchestrator/scheduling/leases.py",
                "now - self._caught_up_at > self.lease_seconds / 2",
                "now - self._caught_up_at > 1e9",
            ),
        ),
        tests=("tests/orchestrator/test_clocks.py",),
    ),
    Mutant(
        "early-start",
        "I6: a task starts when all it needs has succeeded",
        (
            Edit(
                "orchestrator/core/approvals/releasing.py",
                "if task.status is not TaskStatus.WAITING or workflow.unmet[name] != open_needs:",
                "if task.status is not TaskStatus.WAITING:",
            ),
        ),
        tests=("tests/orchestrator/test_core_properties.py", "tests/orchestrator/test_decide.py"),
    ),
    Mutant(
        "approval-by-name",
        "an approval is for exactly what was looked at",
        (Edit("orchestrator/core/approvals/deciding.py", "if event.action_hash != expected:", "if False:"),),
        tests=("tests/orchestrator/test_decide.py",),
    ),
    Mutant(
        "refs-forgotten",
        "I2: the branch of an accepted outcome is moved even after a crash",
        (
            Edit(
                "orchestrator/service/inbox_handler.py",
                "if entry.kind is OutboxKind.REF and entry.commit",
                "if entry.kind is OutboxKind.REF and entry.commit and False",
            ),
        ),
        tests=("tests/simulation/test_simulation.py",),
    ),
    Mutant(
        "innocents-counted",
        "I7: only a death while alone counts",
        (Edit("orchestrator/core/attempts.py", "task.crashes + event.alone", "task.crashes + 1"),),
        tests=("tests/orchestrator/test_decide.py",),
    ),
    Mutant(
        "outages-are-failures",
        "an outage uses up no retry",
        (
            Edit(
                "orchestrator/core/attempts.py",
                "if outcome.error is not None and outcome.error.outage:",
                "if False and outcome.error is not None:",
            ),
        ),
        tests=("tests/orchestrator/test_decide.py",),
    ),
    Mutant(
        "no-limit",
        "I9: who submits beyond the limit waits",
        (Edit("orchestrator/storage/admission.py", "if found + wanted > limit:", "if False:"),),
        tests=("tests/orchestrator/test_pressure.py",),
    ),
    Mutant(
        "adrift-counts",
        "I1: an entry in no consumer's hands is in nobody's hands",
        (
            Edit(
                "orchestrator/service/fleet/request_streams.py",
                "await self.take_off(await self.bus.orphaned(stream, _GROUP))",
                "pass",
            ),
        ),
        tests=("tests/orchestrator/test_recovery.py", "tests/orchestrator/test_several_owners.py"),
    ),
    Mutant(
        "silence-is-death",
        "I7: only the word of whoever saw a process end is a death",
        (
            Edit(
                "orchestrator/service/fleet/workers.py",
                "self._at_gate(Departure(worker_id, tuple(held), silent=True))",
                "self._at_gate(death(worker_id, held, [hands], self.engine.is_suspect, None))",
            ),
        ),
        tests=("tests/orchestrator/test_doubt.py",),
    ),
    Mutant(
        "doubt-before-outcomes",
        "I4: what a silent worker reported before is not run again",
        (
            Edit(
                "orchestrator/service/fleet/workers.py",
                "self._departures.setdefault(self.recovery.gate.ask(), []).append(departure)",
                "self._republish += departure.waiting",
            ),
        ),
        tests=("tests/orchestrator/test_doubt.py",),
    ),
    Mutant(
        "deadline-begins-anew",
        "I1: a task that silently takes machines down ends at its deadline",
        (Edit("orchestrator/scheduling/holdings.py", "self.spent += now - self.started_at", "pass"),),
        tests=("tests/orchestrator/test_doubt.py",),
    ),
    Mutant(
        "stolen-kept",
        "I1: what was read in a worker's name that does not have it is published again",
        (
            Edit(
                "orchestrator/service/fleet/recovery.py",
                "if view.heartbeats - first >= ENOUGH_HEARTBEATS:",
                "if False:",
            ),
        ),
        faults="stolen-reading",
    ),
    Mutant(
        "strangers-believed",
        "I3: an outcome of a worker that nobody announced is refused",
        (
            Edit(
                "orchestrator/scheduling/outcome_guard.py",
                "return Credibility.UNHEARD",
                "return Credibility.CREDIBLE",
            ),
        ),
        tests=("tests/orchestrator/test_forged.py",),
    ),
    Mutant(
        "contradicted-believed",
        "I3: an outcome is refused while another worker has the dispatch",
        (
            Edit(
                "orchestrator/scheduling/outcome_guard.py",
                "return Credibility.CONTRADICTED",
                "return Credibility.CREDIBLE",
            ),
        ),
        tests=("tests/orchestrator/test_forged.py",),
    ),
    Mutant(
        "backlog-kept",
        "I3: what is cancelled is taken off its stream",
        (Edit("orchestrator/service/inbox_handler.py", "self._outdated.update(streams)", "pass"),),
        tests=("tests/orchestrator/test_outdated_requests.py",),
    ),
    Mutant(
        "cancelled-started",
        "I3: what is cancelled is taken off its stream, or else confirmed before it starts",
        (
            Edit("orchestrator/service/inbox_handler.py", "self._outdated.update(streams)", "pass"),
            Edit(
                "orchestrator/service/fleet/request_streams.py",
                "[one.delivery for one in _copies(found) + self._outdated(found)]",
                "[one.delivery for one in _copies(found)]",
            ),
            Edit(
                "agents/worker/worker.py",
                "return self._age.is_old(message.message.data.created_at)",
                "return False",
            ),
        ),
        faults="cancelled-backlog",
    ),
    Mutant(
        "old-started",
        "I3: an old request starts only when it is confirmed",
        (
            Edit(
                "agents/worker/worker.py",
                "return self._age.is_old(message.message.data.created_at)",
                "return False",
            ),
        ),
        tests=("tests/agents/test_old_requests.py",),
    ),
    Mutant(
        "letters-uncapped",
        "I9: of messages that nobody can read a limited number is kept",
        (Edit("orchestrator/storage/dead_letters.py", "if newest is None:", "if True:"),),
        tests=("tests/orchestrator/test_dead_letters.py",),
    ),
    Mutant(
        "undecodable-kept",
        "I7: what cannot be read is put aside, not delivered for ever",
        (
            Edit(
                "contracts/runtime/consumer.py",
                "self.outbox.dead_letter(letter, delivery)",
                "pass",
            ),
        ),
        tests=("tests/agents/test_worker.py",),
    ),
    Mutant(
        "created-kept",
        "a container that was created and never started is removed as well",
        (
            Edit(
                "sandbox_runner/docker/orphans.py",
                "client.containers(all=True, ",
                "client.containers(all=False, ",
            ),
        ),
        tests=("tests/sandbox/test_docker.py",),
    ),
    Mutant(
        "deadline-not-kept",
        "I11: an agent that blocks is ended at its deadline",
        (Edit("agents/keeper/judgement.py", "elif now >= held.deadline:", "elif False:"),),
        tests=("tests/keeper/test_judgement.py",),
    ),
    Mutant(
        "recall-not-kept",
        "I11: an agent that blocks is ended when nobody waits for it",
        (
            Edit(
                "agents/keeper/judgement.py",
                "if held.recalled or held.dispatch_id in self._recalled:",
                "if False:",
            ),
        ),
        tests=("tests/keeper/test_judgement.py",),
    ),
    Mutant(
        "neighbours-blamed",
        "I11: of several executions in a process that stands still none is blamed",
        (
            Edit(
                "agents/keeper/judgement.py",
                "return started <= 1 or self._turns(now, seen)",
                "return True",
            ),
        ),
        tests=("tests/keeper/test_judgement.py",),
    ),
    Mutant(
        "no-grace-anew",
        "I11: a keeper that was stopped itself blames nobody for that time",
        (
            Edit(
                "agents/keeper/judgement.py",
                "if self._looked_at is None or now - self._looked_at > self._limits.blind:",
                "if self._looked_at is None:",
            ),
        ),
        tests=("tests/keeper/test_judgement.py",),
    ),
    Mutant(
        "ends-unsaid",
        "I1: an end by the keeper is an outcome",
        (
            Edit(
                "agents/keeper/keeper.py",
                "self._voice.answer(held.dispatch_id, held.execution_id, message, _entry(held))",
                "pass",
            ),
        ),
        tests=("tests/keeper/test_ends.py",),
    ),
    Mutant(
        "neighbours-forgotten",
        "I1: what ran beside an execution that was ended is handed back",
        (
            Edit(
                "agents/keeper/keeper.py",
                "others = [held for held in slot.held if held not in culprits]",
                "others: list[Held] = []",
            ),
        ),
        tests=("tests/keeper/test_ends.py",),
    ),
    Mutant(
        "orphans-live",
        "I11: what a process started ends with it",
        (Edit("multi_agent/runtime/forking/forked_children.py", "            self._end_orphans()\n", ""),),
        tests=("tests/keeper/test_ends.py",),
    ),
    Mutant(
        "keeper-survived",
        "I4: slot processes end with their keeper, which alone knows them",
        (
            Edit(
                "multi_agent/runtime/forking/die_with_parent.py",
                "_PR_SET_PDEATHSIG, signal.SIGKILL",
                "_PR_SET_PDEATHSIG, 0",
            ),
        ),
        tests=("tests/keeper/test_stops.py",),
    ),
    Mutant(
        "shortage-is-failure",
        "a process short of resources uses up no retry of its tasks",
        (Edit("contracts/base/processes/shortage.py", "if short is None:", "if True:"),),
        tests=("tests/keeper/test_shortage.py", "tests/contracts/test_shortage.py"),
    ),
    Mutant(
        "excess-kept",
        "I1: what a process cannot start does not wait behind what it runs",
        (
            Edit(
                "contracts/runtime/consumer.py",
                "if is_excess and self.outbox.put_back(delivery):",
                "if False:",
            ),
        ),
        tests=("tests/runtime/test_consumer.py",),
    ),
    Mutant(
        "canaries-pass",
        "a test session in which tests that must fail do not is no proof",
        (
            Edit(
                "agents/testing/problems.py",
                "elif not _all_failed(run.events, wanted.canaries) or ",
                "elif False and ",
            ),
        ),
        tests=("tests/agents/test_verdict.py", "tests/agents/test_forgery.py"),
    ),
)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Path]:
    """A copy of the source with the edits."""
    folder = Path(tempfile.mkdtemp(prefix="multi-agent-mutant-"))
    try:
        for name in PACKAGES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        for edit in mutant.edits:
            path = folder / edit.file
            text = path.read_text("utf-8")
            if text.count(edit.old) != 1:
                raise LookupError(
                    f"{mutant.name}: {edit.file} holds {edit.old!r} {text.count(edit.old)} times"
                )
            path.write_text(text.replace(edit.old, edit.new), "utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def caught(mutant: Mutant, seed: int) -> bool:
    """Whether the check that should notices."""
    with mutated(mutant) as folder:
        if mutant.faults:
            argv = ["-m", "multi_agent.cli", "chaos", "--faults", mutant.faults]
            argv += ["--minutes", str(mutant.minutes)]
            argv += ["--seed", str(seed), "--round-seconds", str(mutant.round_seconds)]
            argv += ["--rest-seconds", "40", "--report", str(folder / "report")]
            argv += ["--postgres"] * mutant.postgres
        else:
            argv = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests]
        env = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            [sys.executable, *argv],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode not in {0, 1} or "ERROR collecting" in done.stdout:
        raise RuntimeError(f"{mutant.name}: the check did not run:\n{done.stdout}{done.stderr}")
    return done.returncode == 1


@click.command()
@click.option("--only", help="Names of mutants, separated by commas.")
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--write", type=click.Path(path_type=Path), help="Write the table as Markdown.")
def main(only: str | None, seeds: int, write: Path | None) -> None:
    """Take each protection away and see whether anybody notices."""
    names = set(filter(None, (only or "").split(",")))
    mutants = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    for control in _controls(mutants):
        if caught(control, 1):
            raise click.ClickException(f"{control.name}: fails without any mutant")
    rows = []
    for mutant in mutants:
        started = time.monotonic()
        counts = sum(caught(mutant, seed) for seed in range(1, seeds + 1))
        by = f"chaos `{mutant.faults}`" if mutant.faults else ", ".join(f"`{one}`" for one in mutant.tests)
        rows.append((mutant, by, counts))
        click.echo(f"{mutant.name:22} caught {counts} of {seeds}  ({time.monotonic() - started:.0f} s)")
    if write:
        write.write_text(_table(rows, seeds), "utf-8")
    sys.exit(any(count < seeds for _, _, count in rows))


def _controls(mutants: list[Mutant]) -> list[Mutant]:
    """The same checks on the source as it is; they must find nothing."""
    tests = tuple(dict.fromkeys(one for mutant in mutants for one in mutant.tests))
    faults = ",".join(dict.fromkeys(mutant.faults for mutant in mutants if mutant.faults))
    controls = []
    if tests:
        controls.append(Mutant("the tests", "", (), tests=tests))
    if faults:
        controls.append(Mutant("the certificate", "", (), faults=faults))
    return controls


def _table(rows: list[tuple[Mutant, str, int]], seeds: int) -> str:
    lines = [
        "# Mutants",
        "",
        "Each row is a protective line, taken away in a copy of the source, and the check that noticed.",
        "`make mutants` makes this table.",
        "",
        "| mutant | what the line protects | caught by | seeds |",
        "|---|---|---|---|",
    ]
    lines += [f"| {one.name} | {one.protects} | {by} | {count} of {seeds} |" for one, by, count in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
