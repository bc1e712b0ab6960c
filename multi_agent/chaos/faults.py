"""The faults: what each does, which invariants it tests, and how often a certificate injects it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import MultiAgentError, Unavailable
from contracts.base.failpoints import ORCHESTRATOR, WORKER, Action
from contracts.messages.channels import Channels
from multi_agent.chaos.load import poison_plan
from multi_agent.chaos.message_faults import cancel_backlog, duplicate, send_malformed, steal_reading
from multi_agent.chaos.scratch_system import ScratchSystem
from multi_agent.chaos.slot_faults import (
    block_agent,
    kill_slot,
    starve_slot,
    stop_slot,
    swallow_cancellation,
)

Inject = Callable[[ScratchSystem, random.Random], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    what: str
    """A description for the report."""
    promise: str
    """The invariants that it tests, such as "I1 I2"."""
    inject: Inject
    """Injects the fault once and returns how many injections that was."""
    pause: tuple[float, float]
    """Least and most seconds between two calls of `inject`."""
    goal: int
    """How many injections a certificate needs; with `traps`, hits of every failpoint."""
    traps: tuple[str, ...] = ()
    """The failpoints to arm."""
    action: Action | None = None
    """The action of the failpoints."""
    postgres: bool = False
    """Whether it needs PostgreSQL."""
    forges: bool = False
    """Whether it may send messages that look like dispatches."""


async def _kill_worker(world: ScratchSystem, chance: random.Random) -> int:
    return world.kill([chance.choice(world.workers)])


async def _kill_orchestrator(world: ScratchSystem, chance: random.Random) -> int:
    return world.kill([chance.choice(world.orchestrators)])


async def _kill_everything(world: ScratchSystem, chance: random.Random) -> int:
    targets = list(world.supervisor.processes)
    chance.shuffle(targets)
    world.redis.kill()
    killed = world.kill(targets)
    await world.redis.start()
    return min(killed, 1)


async def _stop_worker(world: ScratchSystem, chance: random.Random) -> int:
    lease = world.wanted.lease_seconds
    return int(world.stop_for(chance.choice(world.workers), lease * chance.uniform(1.2, 2.0)))


async def _stop_orchestrator(world: ScratchSystem, chance: random.Random) -> int:
    lease = world.wanted.lease_seconds
    return int(world.stop_for(chance.choice(world.orchestrators), lease * chance.uniform(0.5, 2.0)))


async def _restart_redis(world: ScratchSystem, chance: random.Random) -> int:
    world.redis.kill()
    await asyncio.sleep(chance.uniform(0.0, 1.0))
    await world.redis.start()
    return 1


async def _flush_redis(world: ScratchSystem, chance: random.Random) -> int:
    kind = chance.random()
    streams = await asyncio.to_thread(world.redis.streams)
    if kind < 0.5 or not streams:
        await asyncio.to_thread(world.redis.command, "FLUSHALL")
    elif kind < 0.75:
        await asyncio.to_thread(world.redis.command, "DEL", chance.choice(streams))
    else:
        await _destroy_group(world, chance.choice(streams))
    return 1


async def _destroy_group(world: ScratchSystem, stream: str) -> None:
    results = stream.startswith(Channels.AGENT_RESULTS) or stream == Channels.DEAD_LETTERS
    group = Channels.ORCHESTRATORS_GROUP if results else Channels.WORKERS_GROUP
    await asyncio.to_thread(world.redis.command, "XGROUP", "DESTROY", stream, group)


async def _cut_redis_log(world: ScratchSystem, chance: random.Random) -> int:
    world.redis.kill()
    world.redis.cut_log(chance)
    await world.redis.start()
    return 1


async def _pause_redis(world: ScratchSystem, chance: random.Random) -> int:
    world.redis.pause()
    await asyncio.sleep(chance.uniform(0.3, 2.5 * world.wanted.lease_seconds))
    world.redis.resume()
    return 1


async def _fill_redis(world: ScratchSystem, chance: random.Random) -> int:
    await asyncio.to_thread(world.redis.command, "CONFIG", "SET", "maxmemory", "1")
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    await asyncio.to_thread(world.redis.command, "CONFIG", "SET", "maxmemory", "0")
    return 1


async def _kill_postgres(world: ScratchSystem, chance: random.Random) -> int:
    assert world.postgres is not None
    world.postgres.kill(at_once=chance.random() < 0.5)
    await asyncio.sleep(chance.uniform(0.0, 0.5))
    await asyncio.to_thread(world.postgres.start)
    return 1


async def _cut_postgres(world: ScratchSystem, _chance: random.Random) -> int:
    assert world.postgres is not None
    return await asyncio.to_thread(world.postgres.cut_connections)


async def _kill_git(world: ScratchSystem, chance: random.Random) -> int:
    """kill -9 a git process, or create a lock file as a killed git process leaves it."""
    store = Path(world.settings.artifacts)
    if chance.random() < 0.2:
        (store / chance.choice(("packed-refs.lock", "HEAD.lock"))).touch()
        return 1
    found = await asyncio.to_thread(_git_processes, store)
    for pid in found[:1]:
        world.signal(pid, signal.SIGKILL)
    return len(found[:1])


def _git_processes(store: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"git" in words[0] and str(store).encode() in b" ".join(words):
                found.append(int(entry.name))
    return found


async def _poison(world: ScratchSystem, chance: random.Random) -> int:
    """Submit a workflow with a task that kills its worker in every attempt."""
    world.wanted_plans.append(poison_plan(f"poison-{chance.getrandbits(40):010x}"))
    return 1


async def _step_clock(world: ScratchSystem, chance: random.Random) -> int:
    """Move the wall clock of all processes and Redis up to an hour forward or back."""
    assert world.clock is not None
    world.clock.step(chance.choice((-3600, -600, 600, 3600)))
    return 1


async def _cut_link(world: ScratchSystem, chance: random.Random) -> int:
    """Abort all connections; half of the time, only when their next answer arrives."""
    link = chance.choice(world.links.all)
    return link.cut() if chance.random() < 0.5 else link.lose_answers()


async def _silence_link(world: ScratchSystem, _chance: random.Random) -> int:
    """Let connections to Redis stay open without carrying data, which only a timeout can detect."""
    assert world.links.redis is not None
    return world.links.redis.fall_silent()


async def _slow_link(world: ScratchSystem, chance: random.Random) -> int:
    link = chance.choice(world.links.all)
    link.slow_down(chance)
    await asyncio.sleep(chance.uniform(0.5, 3.0))
    link.clear()
    return 1


async def _wait(_world: ScratchSystem, _chance: random.Random) -> int:
    """Do nothing: the armed failpoints are the fault."""
    return 0


_ALL: Final = tuple(sorted(WORKER + ORCHESTRATOR))
_OUTCOME: Final = ("worker.before_outcome",)
_COMMITS: Final = ("orchestrator.in_commit", "orchestrator.after_commit")
_KILL, _STOP, _LOSE = Action.KILL, Action.STOP, Action.LOSE
_AT_ONCE: Final = (0.1, 0.1)

FAULTS: Final[tuple[Fault, ...]] = (
    Fault("worker-kill", "kill -9 of a worker at any moment", "I1 I2 I4", _kill_worker, (0.1, 0.35), 1000),
    Fault("orchestrator-kill", "kill -9 of an orchestrator", "I1 I2 I4", _kill_orchestrator, (0.2, 0.8), 300),
    Fault("everything-kill", "kill -9 of all processes at once", "I4 I5", _kill_everything, (0.8, 2.0), 200),
    Fault("worker-stop", "a worker stopped for longer than its lease", "I3", _stop_worker, (0.2, 0.6), 100),
    Fault("zombie", "an outcome sent after the lease", "I3", _wait, _AT_ONCE, 100, _OUTCOME, _STOP),
    Fault(
        "orchestrator-stop",
        "an orchestrator stopped, then continued",
        "I3 I8",
        _stop_orchestrator,
        (0.5, 1.5),
        50,
    ),
    Fault("stolen-reading", "a dispatch read in a worker's name", "I1", steal_reading, (0.05, 0.3), 100),
    Fault("cancelled-backlog", "dispatched tasks cancelled", "I3", cancel_backlog, (0.5, 1.5), 30),
    Fault("slot-kill", "kill -9 of one slot process of a worker", "I1 I2 I4", kill_slot, (0.1, 0.4), 300),
    Fault("slot-stop", "a slot process stopped for a while", "I2 I11", stop_slot, (0.2, 0.6), 100),
    Fault("blocking-agent", "agents that block beyond their deadline", "I11", block_agent, (0.5, 1.5), 50),
    Fault("swallowed-cancel", "agents that ignore their end", "I11", swallow_cancellation, (0.5, 1.5), 50),
    Fault("starved-worker", "a process that may open no file", "I1 I11", starve_slot, (0.3, 1.0), 50),
    Fault("poison", "a task that kills its worker", "I7", _poison, (2.0, 4.0), 50),
    Fault("failpoint-kill", "kill -9 between two steps", "I1 I2", _wait, _AT_ONCE, 30, _ALL, _KILL),
    Fault("failpoint-stop", "stopped between two steps", "I2 I3", _wait, _AT_ONCE, 30, _ALL, _STOP),
    Fault("lost-answer", "a commit that fails, or seems to", "I2", _wait, _AT_ONCE, 250, _COMMITS, _LOSE),
    Fault("redis-kill", "kill -9 of Redis, back within a second", "I1 I5", _restart_redis, (0.1, 0.5), 300),
    Fault("redis-flush", "FLUSHALL, DEL, XGROUP DESTROY", "I5", _flush_redis, (0.1, 0.6), 200),
    Fault("redis-cut", "up to 64 KiB of the append-only file lost", "I5", _cut_redis_log, (0.1, 0.6), 200),
    Fault("redis-pause", "Redis does not answer for a while", "I1 I8", _pause_redis, (0.5, 1.5), 50),
    Fault("redis-full", "Redis refuses every write", "I1 I9", _fill_redis, (0.5, 1.5), 20),
    Fault("link-cut", "connections or answers lost on the way", "I1 I2", _cut_link, (0.2, 0.8), 200),
    Fault("link-silent", "open connections that carry no data", "I1", _silence_link, (2.0, 6.0), 50),
    Fault("link-slow", "every message late, or byte by byte", "I1 I8", _slow_link, (0.2, 1.0), 50),
    Fault("clock-step", "the wall clock jumps by up to an hour", "I8", _step_clock, (1.0, 2.5), 50),
    Fault("duplicates", "messages delivered again", "I2", duplicate, (0.05, 0.2), 10_000),
    Fault("malformed", "invalid messages", "I7", send_malformed, (0.02, 0.1), 10_000, forges=True),
    Fault("git-kill", "kill -9 of git, locks left behind", "I2", _kill_git, (0.01, 0.1), 300),
    Fault(
        "postgres-kill", "PostgreSQL ends at once", "I1 I2", _kill_postgres, (0.1, 0.4), 300, postgres=True
    ),
    Fault("postgres-cut", "connections ended", "I2", _cut_postgres, (0.1, 0.6), 300, postgres=True),
)


async def inject(fault: Fault, world: ScratchSystem, chance: random.Random) -> int:
    """Inject once. Returns 0 when a service that the fault needs is unavailable."""
    try:
        return await fault.inject(world, chance)
    except (Unavailable, MultiAgentError, OSError):
        return 0
