"""Faults within a worker: agents that do not end, and harm to single slot processes."""

from __future__ import annotations

import os
import random
import resource
import signal
from collections.abc import Callable
from contextlib import suppress

from multi_agent.chaos.agents import Orders
from multi_agent.chaos.load import stuck_plan
from multi_agent.chaos.scratch_system import ScratchSystem
from multi_agent.runtime.forking.process_tree import children_of


def _submit(world: ScratchSystem, chance: random.Random, orders: Orders) -> int:
    world.wanted_plans.append(stuck_plan(f"stuck-{chance.getrandbits(40):010x}", orders))
    return 1


async def block_agent(world: ScratchSystem, chance: random.Random) -> int:
    """Submit a workflow with an agent that sleeps or computes beyond its deadline in its first attempts."""
    times = chance.choice((1, 1, 2))
    return _submit(world, chance, Orders(blocks=times) if chance.random() < 0.5 else Orders(computes=times))


async def swallow_cancellation(world: ScratchSystem, chance: random.Random) -> int:
    """Submit a workflow with an agent that goes on after its cancellation."""
    return _submit(world, chance, Orders(swallows=chance.choice((1, 1, 2))))


def _hit(world: ScratchSystem, chance: random.Random, harm: Callable[[int], bool]) -> int:
    """Harm one of the processes that the fork servers of all keepers have forked."""
    keepers = {one.process.pid for one in world.workers if one.process is not None and one.process.alive}
    slots = sorted(children_of(children_of(keepers)))
    return int(bool(slots) and harm(chance.choice(slots)))


async def kill_slot(world: ScratchSystem, chance: random.Random) -> int:
    """kill -9 of a slot process."""

    def kill(pid: int) -> bool:
        world.signal(pid, signal.SIGKILL)
        return True

    return _hit(world, chance, kill)


async def stop_slot(world: ScratchSystem, chance: random.Random) -> int:
    """Stop a slot process for longer than a lease; its keeper speaks for it meanwhile."""
    seconds = world.wanted.lease_seconds * chance.uniform(1.2, 2.0)
    return _hit(world, chance, lambda pid: world.stop_pid_for(pid, seconds))


async def starve_slot(world: ScratchSystem, chance: random.Random) -> int:
    """Let a slot process open hardly any further files."""

    def starve(pid: int) -> bool:
        with suppress(OSError):
            room = len(os.listdir(f"/proc/{pid}/fd")) + chance.randint(0, 4)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, room))
            return True
        return False

    return _hit(world, chance, starve)
