"""Runs the probes on a backend and reports their outcomes, for `multi-agent sandbox test`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from contracts.base.errors import InvalidInput, NotConfigured, SandboxUnavailable
from contracts.ports.sandbox import Sandbox
from sandbox_runner.choose import Opened, open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.probes.abuse import ABUSE
from sandbox_runner.probes.model import Abuse, Outcome, Status, outcome
from sandbox_runner.probes.quick import QUICK, run_quick_probes

BACKEND_SECONDS = 180
_NO_TIME = "did not end within the time for all"

PROBES = {**{look.name: look.must for look in QUICK}, **{abuse.name: abuse.must for abuse in ABUSE}}
"""All probes: name -> what must happen."""


@dataclass(frozen=True, slots=True)
class BackendReport:
    """The probes on one backend."""

    backend: str

    level: str
    """Its isolation; empty when the backend is not available."""

    remark: str
    """What it works with, or why it is not available."""

    outcomes: tuple[Outcome, ...]

    @property
    def tried(self) -> bool:
        """Whether the backend is available, so that the probes ran."""
        return bool(self.level)

    @property
    def different(self) -> tuple[Outcome, ...]:
        """The probes that did not end as they must."""
        return tuple(one for one in self.outcomes if one.status is Status.DIFFERENT)


async def try_backend(
    name: str,
    settings: SandboxSettings,
    only: tuple[str, ...] = (),
    on_start: Callable[[str], None] = lambda _: None,
) -> BackendReport:
    """Run the probes named in `only`, or all if it is empty, on a backend, within BACKEND_SECONDS.

    `on_start` is called with the name of each probe before it runs. Raises InvalidInput for an unknown probe.
    """
    wanted = {one: PROBES[one] for one in PROBES if not only or one in only}
    if unknown := set(only) - set(PROBES):
        raise InvalidInput(f"probe {min(unknown)!r} is not known; --list shows all")
    try:
        opened = await open_untested(name, settings)
    except (SandboxUnavailable, NotConfigured) as error:
        absent = tuple(Outcome(probe, must, Status.UNAVAILABLE) for probe, must in wanted.items())
        return BackendReport(name, "", str(error), absent)
    done: dict[str, Outcome] = {}
    try:
        async with asyncio.timeout(BACKEND_SECONDS):
            await _try_all(opened, wanted, done, on_start)
    except TimeoutError:
        pass
    finally:
        await opened.sandbox.close()
    outcomes = tuple(done.get(probe) or outcome(probe, must, _NO_TIME) for probe, must in wanted.items())
    return BackendReport(name, opened.sandbox.isolation.value, opened.remark, outcomes)


async def _try_all(
    opened: Opened, wanted: dict[str, str], done: dict[str, Outcome], on_start: Callable[[str], None]
) -> None:
    if any(look.name in wanted for look in QUICK):
        on_start("the quick probes")
        done.update(await _quick(opened))
    for abuse in ABUSE:
        if abuse.name in wanted:
            on_start(abuse.name)
            done[abuse.name] = await _slow(abuse, opened.sandbox)


async def _quick(opened: Opened) -> dict[str, Outcome]:
    try:
        return {one.probe: one for one in await run_quick_probes(opened.sandbox, opened.facts)}
    except SandboxUnavailable as error:
        return {look.name: outcome(look.name, look.must, str(error)) for look in QUICK}


async def _slow(abuse: Abuse, sandbox: Sandbox) -> Outcome:
    try:
        return outcome(abuse.name, abuse.must, await abuse.attempt(sandbox))
    except SandboxUnavailable as error:
        return outcome(abuse.name, abuse.must, f"the sandbox itself failed: {error}")
