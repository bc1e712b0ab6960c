"""Machines whose links to Redis and Git are cut under load: work is late, not lost or done twice (I1, I2)."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from artifacts import create_store
from multi_agent.bootstrap import make_artifacts, make_client, make_database, upgrade_database
from multi_agent.chaos.load import random_plan, write_answers
from multi_agent.settings import Settings
from tests.e2e.conftest import COMMAND, SECONDS, Cli
from tests.support.hosts import CENTRAL, Hosts, joined_hosts
from tests.support.load import Load
from tests.support.postgres import PrivatePostgres

OPEN_WORKFLOWS = 12
ROUNDS = 2


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    server = PrivatePostgres().start()
    yield server
    server.stop()


class Machines:
    """An orchestrator on the central machine and a worker, called like its machine, on each of the others."""

    def __init__(self, cli: Cli, hosts: Hosts, postgres: PrivatePostgres) -> None:
        self._cli, self._hosts, self._postgres = cli, hosts, postgres
        self._logs = cli.folder / "logs"
        self._logs.mkdir()
        self._store = create_store(cli.folder / "store" / "artifacts.git")
        self._database_url = postgres.new_database()
        write_answers(cli.folder / "answers")
        self._redis_url = hosts.start_services(self._store, cli.env, self._logs)
        self.settings = Settings(
            data_dir=cli.folder / "client",
            database_url=SecretStr(self._database_url),
            artifact_store=str(self._store),
        )
        upgrade_database(self.settings)

    def start(self) -> None:
        hosts, logs = self._hosts, self._logs
        hosts.start(
            hosts.central, [*COMMAND, "orchestrator"], self._central(), self._cli.folder, logs / "owner.log"
        )
        for remote in hosts.remotes:
            home = self._cli.folder / remote
            home.mkdir()
            env = self._everywhere() | {
                "HOME": str(home),
                "MULTI_AGENT_ARTIFACT_STORE": f"git://{CENTRAL}/artifacts.git",
            }
            words = ["worker", "--worker-id", remote, "--agents", "multi_agent.chaos.agents"]
            hosts.start(remote, [*COMMAND, *words, "--role", "chaos"], env, home, logs / f"{remote}.log")

    def verify(self) -> tuple[int, str]:
        """Exit code and output of `multi-agent verify` on the central machine."""
        hosts = self._hosts
        done = hosts.run(hosts.central, [*COMMAND, "verify"], self._central(), self._cli.folder, SECONDS)
        return done.returncode, done.stdout + done.stderr

    def told(self, worker: str) -> list[dict[str, object]]:
        """What the orchestrator logged of the coming and going of a worker's slot processes."""
        path = self._logs / "owner.log"
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        # The name of a process is that of its keeper and two numbers.
        return [one for one in entries if str(one.get("worker_id")).rsplit("-", 2)[0] == worker]

    def here(self, worker: str) -> bool:
        return [one["event"] for one in self.told(worker)][-1:] == ["worker_joined"]

    def silences(self, worker: str) -> list[int]:
        """For every lease of a worker that ran out, how many tasks it held."""
        told = self.told(worker)
        return [int(str(one["held"])) for one in told if one.get("reason") == "silent"]

    def _everywhere(self) -> dict[str, str]:
        return {
            **self._cli.env,
            "REDIS_URL": self._redis_url,
            "MULTI_AGENT_LEASE_SECONDS": "1.5",
            "MULTI_AGENT_SLOTS": "4",
            "MULTI_AGENT_MODEL": f"replay:{self._cli.folder / 'answers'}",
        }

    def _central(self) -> dict[str, str]:
        # The database is not in the namespace, its socket is in the file system of all.
        database = self._database_url.partition("@")[2].partition("/")[2]
        socket = f"postgresql+psycopg://postgres@/{database}?host={self._postgres.folder}"
        return self._everywhere() | {
            "DATABASE_URL": f"{socket}&port={self._postgres.port}",
            "MULTI_AGENT_ARTIFACT_STORE": str(self._store),
        }


@asynccontextmanager
async def loaded(settings: Settings) -> AsyncIterator[Load]:
    chance = random.Random("cut links")
    database, artifacts = make_database(settings), make_artifacts(settings)
    try:
        yield Load(
            make_client(settings, database),
            artifacts,
            lambda name: random_plan(name, chance, sandbox=0.0),
        )
    finally:
        await artifacts.close()
        await database.close()


async def cut_until_missed(machines: Machines, hosts: Hosts, load: Load, remote: str) -> None:
    """Cut a link until the lease of the worker behind it has run out, then heal it."""
    await load.run_until(lambda: machines.here(remote), f"{remote} is here", keep_open=OPEN_WORKFLOWS)
    hosts.cut(remote)
    await load.run_until(lambda: not machines.here(remote), f"{remote} missed", keep_open=OPEN_WORKFLOWS)
    hosts.heal(remote)


async def cut_all_for_a_second(hosts: Hosts, load: Load) -> None:
    for remote in hosts.remotes:
        hosts.cut(remote)
    until = time.monotonic() + 1
    await load.run_until(lambda: time.monotonic() >= until, "a second", keep_open=OPEN_WORKFLOWS)
    for remote in hosts.remotes:
        hosts.heal(remote)


async def test_cut_links_lose_nothing_and_double_nothing(cli: Cli, postgres: PrivatePostgres) -> None:
    with joined_hosts(2) as hosts:
        machines = Machines(cli, hosts, postgres)
        machines.start()
        async with loaded(machines.settings) as load:
            await load.run_until(
                lambda: len(load.names) > OPEN_WORKFLOWS, "it works", keep_open=OPEN_WORKFLOWS
            )
            for _ in range(ROUNDS):
                for remote in hosts.remotes:
                    await cut_until_missed(machines, hosts, load, remote)
                await cut_all_for_a_second(hosts, load)
            await load.finish()
            assert load.findings == []
        code, text = machines.verify()
        assert code == 0, text
        held = [count for remote in hosts.remotes for count in machines.silences(remote)]
        assert sum(held) > 0, "no worker had anything to lose"
