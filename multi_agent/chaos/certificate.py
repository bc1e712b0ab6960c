"""Runs a certificate: a world, rounds until time is up or all goals are reached, final checks, a report."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from artifacts import GitArtifactStore
from contracts.base.errors import InvalidInput
from multi_agent.bootstrap import make_artifacts
from multi_agent.chaos.checks import FailedCheck, check_secrets, left_behind
from multi_agent.chaos.faults import FAULTS, Fault
from multi_agent.chaos.report import Certificate
from multi_agent.chaos.runner import FaultResult, Runner
from multi_agent.chaos.scratch_system import ScratchSettings, ScratchSystem
from multi_agent.chaos.services.clock import find_compiler
from multi_agent.settings import Settings
from orchestrator.diagnosis.verify import verify_invariants

LEASE_SECONDS = 1.5
CLOCK_STEP = "clock-step"
PROCESS_FAULTS = frozenset(
    {
        "worker-kill",
        "orchestrator-kill",
        "worker-stop",
        "zombie",
        "orchestrator-stop",
        "poison",
        "failpoint-kill",
        "failpoint-stop",
        "lost-answer",
    }
)
"""Faults that affect only processes started by the certificate."""


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """The options of a certificate."""

    minutes: float
    """The length of the run; every fault gets at least one round."""
    round_seconds: float
    """The length of the injections in one round."""
    rest_seconds: float
    """How soon after its last fault everything started in a round must have ended."""
    faults: tuple[str, ...]
    """Names of faults, () for all."""
    seed: str
    replay: str | None
    """The only round to run, as a report names it: SEED/FAULT/ROUND."""
    postgres: bool
    """Whether to use PostgreSQL instead of SQLite."""
    sandbox: str
    search_path: str
    """Folders with programs, like PATH."""
    keep: bool = False
    """Whether to keep the scratch folder after a run without violations."""
    deployment: Settings | None = None
    """The settings of a deployment whose services are used instead of private ones."""


def choose_faults(wanted: CertificateSettings) -> list[Fault]:
    """Return the faults to inject. Raises InvalidInput for those that are unknown or impossible."""
    by_name = {fault.name: fault for fault in FAULTS}
    names = [wanted.replay.split("/")[1]] if wanted.replay else list(wanted.faults)
    for name in names:
        if name not in by_name:
            raise InvalidInput(f"fault {name!r}: unknown; known are {', '.join(by_name)}")
        if wanted.deployment is not None and name not in PROCESS_FAULTS:
            raise InvalidInput(
                f"fault {name!r}: affects services, which belong to the deployment; "
                f"use {', '.join(sorted(PROCESS_FAULTS))}"
            )
        if by_name[name].postgres and not wanted.postgres:
            raise InvalidInput(f"fault {name!r}: needs --postgres")
        if name == CLOCK_STEP and find_compiler() is None:
            raise InvalidInput(f"fault {name!r}: needs a C compiler (`cc`)")
    faults = [by_name[name] for name in names] or list(FAULTS)
    if names:
        return faults
    if wanted.deployment is not None:
        return [fault for fault in faults if fault.name in PROCESS_FAULTS]
    return [
        fault
        for fault in faults
        if (wanted.postgres or not fault.postgres) and (fault.name != CLOCK_STEP or find_compiler())
    ]


async def certify(
    wanted: CertificateSettings, say: Callable[[str], None], stop: asyncio.Event
) -> Certificate:
    """Run the certificate until it is complete or `stop` is set.

    `say` is called with lines of progress for the user. The scratch folder is kept after violations.
    """
    results = [FaultResult(fault) for fault in choose_faults(wanted)]
    folder = Path(tempfile.mkdtemp(prefix="multi-agent-chaos-"))
    say(f"scratch folder {folder}")
    world = await ScratchSystem.start(
        ScratchSettings(
            folder,
            postgres=wanted.postgres,
            sandbox=wanted.sandbox,
            search_path=wanted.search_path,
            deployment=wanted.deployment,
            lease_seconds=wanted.deployment.lease_seconds if wanted.deployment else LEASE_SECONDS,
            steps_clock=any(result.fault.name == CLOCK_STEP for result in results),
        )
    )
    artifacts = make_artifacts(world.settings)
    runner = Runner(world, artifacts, say, wanted.rest_seconds, stop)
    started = time.monotonic()
    at_the_end: list[FailedCheck] = []
    try:
        await _rounds(wanted, runner, results)
        at_the_end += await _verified(world, artifacts)
    finally:
        await artifacts.close()
        await world.close()
    at_the_end += [*check_secrets(world), *left_behind(world)]
    minutes = (time.monotonic() - started) / 60
    database = "PostgreSQL, two orchestrators" if world.settings.database_url else "SQLite, one orchestrator"
    report = Certificate(wanted.seed, database, minutes, results, runner.figures, at_the_end)
    if not report.violations and not wanted.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return report


async def _verified(world: ScratchSystem, artifacts: GitArtifactStore) -> list[FailedCheck]:
    """Check the invariants like `multi-agent verify`."""
    listen = 2 * world.wanted.lease_seconds
    found = await verify_invariants(world.database, world.bus, artifacts, listen_seconds=listen)
    return [
        FailedCheck(one.promise, f"{one.workflow_id or 'store'}/{one.task_id or ''}: {one.message}")
        for one in found
    ]


async def _rounds(wanted: CertificateSettings, runner: Runner, results: list[FaultResult]) -> None:
    if wanted.replay:
        return await runner.round(results[0], wanted.replay, wanted.round_seconds)
    until = time.monotonic() + wanted.minutes * 60
    number = 0
    while True:
        for result in results:
            if not result.reached:
                await runner.round(
                    result, f"{wanted.seed}/{result.fault.name}/{number}", wanted.round_seconds
                )
            if runner.stop.is_set() or (time.monotonic() > until and number > 0):
                return None
        number += 1
        if time.monotonic() > until or all(result.reached for result in results):
            return None
