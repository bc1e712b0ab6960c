"""Faults of messages: copies, nonsense, what somebody else read, and what nobody wants any more."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from contracts.messages.channels import Channels
from contracts.ports.bus import Outgoing
from multi_agent.chaos.agents import ROLE
from multi_agent.chaos.checks import executions_of
from multi_agent.chaos.load import CANCELLED, backlog_plan
from multi_agent.chaos.malformed import malformed
from multi_agent.chaos.scratch_system import ScratchSystem

_REQUESTS: Final = Channels.requests(ROLE)
_ANSWER_SECONDS: Final = 10.0
_KNOWN_SECONDS: Final = 0.5
"""How long after a cancellation workers may still start what they had read."""


async def duplicate(world: ScratchSystem, chance: random.Random) -> int:
    """Publish the messages on the streams again, one to five times each."""
    copies: list[Outgoing] = []
    for stream in await asyncio.to_thread(world.redis.streams):
        for delivery in (await world.bus.entries(stream))[-20:]:
            copies += [Outgoing(stream, delivery.payload)] * chance.randint(1, 5)
    chance.shuffle(copies)
    await world.bus.publish(copies)
    return len(copies)


async def send_malformed(world: ScratchSystem, chance: random.Random) -> int:
    """Publish bytes that are not valid messages, on the streams and channels of workers and orchestrators."""
    streams = await asyncio.to_thread(world.redis.streams) or [Channels.results(0)]
    samples = [each.payload for stream in streams for each in (await world.bus.entries(stream))[-3:]]
    messages = [Outgoing(chance.choice(streams), malformed(chance, samples)) for _ in range(20)]
    await world.bus.publish(messages)
    await world.bus.broadcast([Outgoing(Channels.HEARTBEATS, malformed(chance, samples)) for _ in range(5)])
    return len(messages) + 5


async def steal_reading(world: ScratchSystem, chance: random.Random) -> int:
    """Read a dispatch in the name of a worker that lives, and forget it."""
    await world.bus.ensure_group(_REQUESTS, Channels.WORKERS_GROUP)
    workers = await world.bus.consumers(_REQUESTS, Channels.WORKERS_GROUP)
    if not workers:
        return 0
    name = chance.choice(workers)
    return len(await world.bus.read([_REQUESTS], Channels.WORKERS_GROUP, name, count=1, block_ms=100))


async def cancel_backlog(world: ScratchSystem, chance: random.Random) -> int:
    """Cancel a workflow of which most tasks are dispatched and not started."""
    name = f"{CANCELLED}{chance.getrandbits(40):010x}"
    plan = backlog_plan(name)
    await world.client.submit(plan, workflow_id=name)
    world.wanted_plans.append(plan)
    await asyncio.sleep(chance.uniform(0.1, 1.0))
    command = await world.client.cancel(name, "chaos")
    if await world.client.result(command, _ANSWER_SECONDS) is None:
        return 0
    await asyncio.sleep(_KNOWN_SECONDS)
    world.cancelled[name] = executions_of(world, name)
    return 1
