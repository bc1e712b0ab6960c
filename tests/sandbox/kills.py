"""kill -9, at every step of an execution, of the process that uses a sandbox and of the Docker Engine.

python -m tests.sandbox.kills --times 50 [--backend bubblewrap] [--step sandbox.created]

Shows that nothing is left: of a dead process within 30 seconds, of a dead engine within 60 after its return.
What an engine keeps of its own for good, shims and mounts of layers that it did not finish, is told at the
end and is a failure as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.base.errors import SandboxUnavailable
from contracts.base.failpoints import Action, Trap, arm
from contracts.ports.sandbox import SandboxLimits, SandboxRequest
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.docker.api import connect
from tests.sandbox.leftovers import (
    groups_within,
    mounts_within,
    processes_within,
    shims_within,
    unfinished_within,
)
from tests.sandbox.places import add_backends, private_settings, wanted_backends
from tests.support.docker_engine import restart

PROCESS_SECONDS, ENGINE_SECONDS = 30.0, 60.0
_EVERYWHERE = ("sandbox.started", "sandbox.running", "sandbox.judged", "sandbox.refilled")
_WAITING = "waiting"  # no step: it is killed while a sandbox waits for a job
_STEP_SECONDS = 60.0
_REQUEST = SandboxRequest(("sleep", "0.05"), limits=SandboxLimits(wall_seconds=20, memory_mb=128))


def steps_of(backend: str) -> tuple[str, ...]:
    """Where a user of this backend can be killed."""
    first = "sandbox.created" if backend == "docker" else "sandbox.launched"
    return (first, *_EVERYWHERE, _WAITING)


@dataclass(frozen=True, slots=True)
class Place:
    """A backend that nobody else uses; `folder` holds its files, `engine` the Docker Engine if it is one."""

    settings: SandboxSettings
    folder: Path
    engine: Path | None

    def left(self) -> dict[str, list[object]]:
        """What there is of sandboxes now, by kind."""
        marks = [str(self.settings.toolbox), *([str(self.engine)] if self.engine else [])]
        # An engine mounts its folder itself.
        mounts = [mount for mark in (f"{self.engine}/data", marks[0]) for mount in mounts_within(mark)]
        found: dict[str, list[object]] = {
            "containers": list(self._containers()),
            "processes": [pid for mark in marks for pid in processes_within(mark)],
            "control groups": list(groups_within(self.engine.name if self.engine else "none")),
            "mounts": [mount for mount in mounts if mount not in unfinished_within(str(self.engine))],
        }
        return {kind: things for kind, things in found.items() if things}

    def of_engine(self) -> tuple[int, int]:
        """How many shims there are, and how many mounts of layers that were never finished."""
        place = str(self.engine)
        return len(shims_within(place)), len(unfinished_within(place))

    def _containers(self) -> list[str]:
        if self.engine is None:
            return []
        client = connect(self.settings)
        try:
            return [f"{found['Id'][:12]} {found['Status']}" for found in client.containers(all=True)]
        finally:
            client.close()


@contextlib.contextmanager
def place_of(backend: str) -> Iterator[Place]:
    """A private place for a backend."""
    with private_settings(backend) as settings:
        engine = Path((settings.docker_host or "").removeprefix("unix://")).parent
        yield Place(
            replace(settings, warm=1), settings.toolbox.parent, engine if settings.docker_host else None
        )


def in_child(work: Callable[[], object]) -> int:
    """Fork a process that does `work` and nothing else; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except SandboxUnavailable as error:
        print(error, file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _use(settings: SandboxSettings, log: Path, traps: list[Trap], turns: int) -> None:
    """Execute so often with the traps set; what the engine's death costs a call is no failure here."""
    sandbox = await choose_sandbox(settings)
    arm(traps, log, random.SystemRandom().getrandbits(32))
    for _ in range(turns):
        with contextlib.suppress(SandboxUnavailable):
            await sandbox.run(_REQUEST)
        if not traps:
            await asyncio.sleep(1.0)
    with contextlib.suppress(SandboxUnavailable):
        await sandbox.close()


async def _stay(settings: SandboxSettings) -> None:
    """Somebody else who uses the same backend, and so reaps."""
    await choose_sandbox(replace(settings, warm=0))
    await asyncio.Event().wait()


def kill_user(place: Place, step: str) -> None:
    """One process that uses the sandbox and is killed at a step, the first time it gets there or later."""
    log = place.folder / "log"
    if step == _WAITING:
        child = in_child(lambda: asyncio.run(_use(place.settings, log, [], 1_000)))
        _wait_for(lambda: "processes" in place.left(), "a sandbox")
        time.sleep(random.uniform(0.0, 1.0))
        os.kill(child, signal.SIGKILL)
    else:
        traps = [Trap(step, Action.KILL, 0.5)]
        child = in_child(lambda: asyncio.run(_use(place.settings, log, traps, 1_000)))
    assert _end_of(child) == -signal.SIGKILL, f"it was not killed at {step}"


def kill_engine(place: Place, step: str) -> None:
    """kill -9 of the engine while a process that uses it stands still at a step; both go on afterwards."""
    assert place.engine is not None
    traps = [Trap(step, Action.STOP, 0.5)] if step != _WAITING else []
    child = in_child(lambda: asyncio.run(_use(place.settings, place.folder / "log", traps, 3)))
    stopped = os.waitpid(child, os.WUNTRACED)[1] if traps else 0
    if not traps:
        _wait_for(lambda: "processes" in place.left(), "a container")
    restart(place.engine)
    while traps and os.WIFSTOPPED(stopped):
        os.kill(child, signal.SIGCONT)
        stopped = os.waitpid(child, os.WUNTRACED)[1]
    code = os.waitstatus_to_exitcode(stopped) if traps else _end_of(child)
    assert code == 0, f"the process ended with {code} after the engine was killed at {step}"


def _end_of(child: int) -> int:
    status = 0

    def ended() -> bool:
        nonlocal status
        pid, status = os.waitpid(child, os.WNOHANG)
        return pid == child

    _wait_for(ended, "the end of a process")
    return os.waitstatus_to_exitcode(status)


def _wait_for(condition: Callable[[], object], what: str, seconds: float = _STEP_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


def _nothing_is_left(place: Place, seconds: float) -> float:
    """Wait until nothing is left; how long it took."""
    began = time.monotonic()
    try:
        _wait_for(lambda: not place.left(), "the last traces", seconds)
    except AssertionError:
        raise AssertionError(f"after {seconds:.0f} s there are still {place.left()}") from None
    return time.monotonic() - began


def run_backend(backend: str, times: int, engines: int, only: str | None) -> int:
    """Kill so many users and engines at each step. How much the engines kept. Raises AssertionError."""
    with place_of(backend) as place:
        before = sum(place.of_engine())
        other = in_child(lambda: asyncio.run(_stay(place.settings)))
        try:
            for step in [step for step in steps_of(backend) if only in {None, step}]:
                _kill_users(place, step, times)
                if backend == "docker":
                    _kill_engines(place, step, engines)
        finally:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)
        return sum(place.of_engine()) - before


def _kill_users(place: Place, step: str, times: int) -> None:
    for _ in range(times):
        kill_user(place, step)
    seconds = _nothing_is_left(place, PROCESS_SECONDS)
    print(f"{times} users killed at {step}, clean {seconds:.1f} s later", flush=True)


def _kill_engines(place: Place, step: str, times: int) -> None:
    longest, shims, layers = 0.0, *place.of_engine()
    for _ in range(times):
        kill_engine(place, step)
        longest = max(longest, _nothing_is_left(place, ENGINE_SECONDS))
    more = place.of_engine()
    print(
        f"{times} engines killed at {step}, clean at most {longest:.1f} s later;"
        f" the engine kept {more[0] - shims} shims, {more[1] - layers} mounts of unfinished layers",
        flush=True,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="users at each step")
    parser.add_argument("--engines", type=int, default=5, help="engines at each step")
    add_backends(parser)
    parser.add_argument("--step", help="this one alone")
    options = parser.parse_args()
    kept = 0
    for backend in wanted_backends(options):
        print(f"{backend}:", flush=True)
        kept += run_backend(backend, options.times, options.engines, options.step)
    if kept:
        sys.exit(f"the engine kept {kept} things of its own")


if __name__ == "__main__":
    main()
