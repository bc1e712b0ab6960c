"""Redis and PostgreSQL taken away from a running system again and again, and how soon it works again.

python -m tests.e2e.away --times 100 --seconds 1-60
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from pydantic import SecretStr

from multi_agent.bootstrap import make_artifacts, make_client, make_database, upgrade_database
from multi_agent.chaos.load import write_answers
from multi_agent.embedded.child import ChildProcess
from multi_agent.settings import Settings
from tests.e2e.conftest import COMMAND
from tests.support.load import Load, small_plan
from tests.support.postgres import PrivatePostgres
from tests.support.redis_servers import PrivateRedis

SERVICES = ("redis", "postgresql")
OPEN_WORKFLOWS = 4
MOST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class System:
    """A private Redis and PostgreSQL, an orchestrator and a worker that nobody restarts, and a load."""

    servers: dict[str, PrivateRedis | PrivatePostgres]
    processes: dict[str, ChildProcess]
    load: Load

    async def outage(self, service: str, seconds: float) -> float:
        """Take a service away for so long.

        Returns the seconds from its return until all that waited then, and one workflow more, has completed.
        """
        server = self.servers[service]
        server.kill()
        until = time.monotonic() + seconds
        await self._work_until(lambda: time.monotonic() >= until, "the outage is over")
        server.start()
        back = time.monotonic()
        self.load.add()
        waiting = set(self.load.open)
        await self._work_until(lambda: waiting.isdisjoint(self.load.open), f"work after {service} is back")
        return time.monotonic() - back

    async def begin(self) -> None:
        """Return when the first workflows have completed."""
        await self._work_until(lambda: len(self.load.names) > 2 * OPEN_WORKFLOWS, "it works")

    def ended(self) -> list[str]:
        """The processes that did not live through it."""
        return [name for name, process in self.processes.items() if not process.alive]

    async def _work_until(self, reached: Callable[[], bool], what: str) -> None:
        await self.load.run_until(reached, what, keep_open=OPEN_WORKFLOWS)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[System]:
    """A system in an empty folder, with logs in `logs` below it."""
    with _servers() as servers:
        redis, postgres = servers
        settings = Settings(
            data_dir=folder / "data",
            redis_url=SecretStr(redis.url),
            database_url=SecretStr(postgres.new_database()),
            artifact_store=None,
        )
        upgrade_database(settings)
        write_answers(folder / "answers")
        database, artifacts = make_database(settings), make_artifacts(settings)
        with _processes(folder, settings) as processes:
            load = Load(make_client(settings, database), artifacts, small_plan)
            try:
                yield System(dict(zip(SERVICES, servers, strict=True)), processes, load)
            finally:
                await artifacts.close()
                await database.close()


@contextmanager
def _servers() -> Iterator[tuple[PrivateRedis, PrivatePostgres]]:
    with ExitStack() as stack:
        redis = PrivateRedis()
        stack.callback(redis.stop)
        postgres = PrivatePostgres()
        stack.callback(postgres.stop)
        yield redis.start(), postgres.start()


@contextmanager
def _processes(folder: Path, settings: Settings) -> Iterator[dict[str, ChildProcess]]:
    assert settings.redis_url is not None
    assert settings.database_url is not None
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "MULTI_AGENT_DATA_DIR": str(settings.data),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "MULTI_AGENT_MODEL": f"replay:{folder / 'answers'}",
    }
    words = {"orchestrator": (), "worker": ("--role", "chaos", "--agents", "multi_agent.chaos.agents")}
    with ExitStack() as stack:
        made = {}
        for name, more in words.items():
            log = folder / "logs" / f"{name}.log"
            made[name] = ChildProcess([*COMMAND, name, *more], log=log, env=env)
            made[name].start()
            stack.callback(made[name].kill)
        yield made


async def _script(times: int, shortest: float, longest: float, seed: int) -> bool:
    """Print a line for every outage and, also after Ctrl-C, a summary; whether all went well."""
    chance = random.Random(seed)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    slowest, ended, gone = 0.0, 0, 0
    with tempfile.TemporaryDirectory(prefix="multi-agent-away-") as folder:
        async with running(Path(folder)) as system:
            await system.begin()
            for service in islice(cycle(SERVICES), times):
                if stopped.is_set():
                    break
                seconds = chance.uniform(shortest, longest)
                took = await system.outage(service, seconds)
                slowest, ended = max(slowest, took), ended + 1
                print(
                    f"{ended:4} {service:10} away {seconds:5.1f} s, works again after {took:5.2f} s",
                    flush=True,
                )
                gone = len(system.ended())
            await system.load.finish()
    wrong = system.load.findings
    for finding in wrong:
        print(f"{finding.promise}: {finding.text}")
    print(
        f"{ended} outages, {len(system.load.names)} workflows: works again after at most {slowest:.2f} s; "
        f"{gone} processes ended, {len(wrong)} promises broken (doubles among them)"
    )
    return not wrong and not gone and slowest < MOST_SECONDS


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.away", description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="outages, of Redis and PostgreSQL in turn")
    parser.add_argument("--seconds", default="1-60", help="SHORTEST-LONGEST time away")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shortest, _, longest = given.seconds.partition("-")
    well = asyncio.run(_script(given.times, float(shortest), float(longest or shortest), given.seed))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
