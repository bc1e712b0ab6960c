"""Servers beside the programs of a repository: each workspace has its own, from this machine's programs."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput
from contracts.ports.environments import PreparedEnvironment
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import Environment, WorkspaceLimits
from sandbox_runner.environments.found import FoundEnvironments, MakingSettings
from sandbox_runner.environments.services.serving import ServedEnvironments
from sandbox_runner.local.toolbox import interpreter
from sandbox_runner.workspace.workspace import SandboxWorkspace
from tests.environments.conftest import Place
from tests.sandbox.probing import until

LIMITS = WorkspaceLimits(command_seconds=20, memory_mb=512, disk_mb=128)
_SIDE_BY_SIDE = 16
BOTH = {".multi-agent.toml": 'services = ["redis", "postgresql"]\n'}


def served(place: Place, search_path: str = os.defpath) -> ServedEnvironments:
    """The port, for a repository that needs no packages."""
    how = MakingSettings(interpreter(), os.defpath, {}, seconds=60)
    trees = place.store.trees()
    own = FoundEnvironments(trees, place.workspaces, place.cache, how)
    return ServedEnvironments(own, trees, place.cache, search_path=search_path, seconds=60)


@asynccontextmanager
async def prepared(place: Place) -> AsyncIterator[tuple[TreeBase, PreparedEnvironment]]:
    """The last commit with its environment."""
    commit = await place.store.import_base(place.repository)
    async with served(place).prepare(commit, place.said.append) as found:
        assert found is not None
        yield TreeBase(commit), found


class Session:
    """The commands of a workspace, numbered."""

    def __init__(self, workspace: SandboxWorkspace) -> None:
        self._workspace, self._number = workspace, 0

    async def say(self, *argv: str) -> str:
        """Run a command that must succeed; what it printed."""
        self._number += 1
        ended = await self._workspace.exec(self._number, argv)
        assert ended.exit_code == 0, (ended.verdict, ended.stdout, ended.stderr)
        return ended.stdout.decode().strip()

    async def errors(self, *argv: str) -> str:
        """Run a command; what it, or its sandbox, wrote of errors."""
        self._number += 1
        return (await self._workspace.exec(self._number, argv)).stderr.decode()

    async def sql(self, text: str) -> str:
        return await self.say("psql", "-qtAc", text)


@asynccontextmanager
async def opened(place: Place, base: TreeBase, environment: Environment) -> AsyncIterator[Session]:
    workspace = await place.workspaces.open(base, environment, LIMITS)
    try:
        yield Session(workspace)
    finally:
        await workspace.close()


def states(program: str) -> set[str]:
    """The states of the processes of a program in the sandboxes that this process has started."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            found[stat.parent.name] = (name, state, parent)
    family = {str(os.getpid())}
    while more := {pid for pid, (_, _, parent) in found.items() if parent in family} - family:
        family |= more
    inside = {pid for pid in family if _space(pid) not in {"", _space("self")}}
    return {found[pid][1] for pid in inside if pid in found and found[pid][0] == program}


def _space(pid: str) -> str:
    """The namespace of process ids that it is in; "" when it is gone."""
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return ""


async def test_each_task_has_its_own_and_they_stay_between_commands(place: Place) -> None:
    place.write(BOTH)
    async with prepared(place) as (base, found):
        assert re.fullmatch(r"postgresql \d+\.\d+, redis \d+\.\d+\.\d+", found.name)
        assert place.said == [f"making the data that {found.name.partition(',')[0]} starts from"]
        environment = found.environment
        async with opened(place, base, environment) as one, opened(place, base, environment) as two:
            await one.sql("create table t (n int); insert into t values (7)")
            assert await one.say("sh", "-c", "redis-cli -u $REDIS_URL set k 8") == "OK"
            # A process that is told to stop does so when it would run next.
            await until("all stand still", lambda: states("postgres") | states("redis-server") == {"T"})
            assert await one.say("sh", "-c", "psql -tAc 'select n from t' $DATABASE_URL") == "7"
            assert await one.say("redis-cli", "get", "k") == "8"
            assert await two.sql("select count(*) from pg_tables where tablename = 't'") == "0"
            assert await two.say("redis-cli", "dbsize") == "0"
            # What a server starts that is not of its own program does not stay.
            await one.say("sh", "-c", """psql -c "copy t from program 'sleep 98'" & sleep 0.5""")
            assert states("sleep") == set()
            assert "service redis: ended, and is not there any more" in await one.errors(
                "sh", "-c", "redis-cli shutdown nosave; while redis-cli ping; do :; done; sleep 0.2"
            )
            assert await one.errors("true") == ""
    assert states("postgres") | states("redis-server") == set()


@pytest.mark.parametrize("backend", ["bubblewrap"], indirect=True)
@pytest.mark.slow
async def test_sixteen_tasks_side_by_side_see_their_own_alone(place: Place) -> None:
    place.write(BOTH)
    async with prepared(place) as (base, found), AsyncExitStack() as stack:
        opening = (
            stack.enter_async_context(opened(place, base, found.environment)) for _ in range(_SIDE_BY_SIDE)
        )
        tasks = await asyncio.gather(*opening)
        await asyncio.gather(
            *(one.sql(f"create table t (n int); insert into t values ({n})") for n, one in enumerate(tasks))
        )
        await asyncio.gather(*(one.say("redis-cli", "set", "k", str(n)) for n, one in enumerate(tasks)))
        rows = await asyncio.gather(*(one.sql("select n from t") for one in tasks))
        keys = await asyncio.gather(*(one.say("redis-cli", "get", "k") for one in tasks))
        assert rows == keys == [str(number) for number in range(_SIDE_BY_SIDE)]
    assert states("postgres") | states("redis-server") == set()


async def test_a_service_that_is_missing_is_told_before_anything_is_made(place: Place) -> None:
    place.write(BOTH)
    commit = await place.store.import_base(place.repository)
    with pytest.raises(InvalidInput) as told:
        async with served(place, search_path="/nowhere").prepare(commit, place.said.append):
            pass
    assert str(told.value) == (
        "service redis: is not on this machine: there is no redis-server or valkey-server on PATH; install "
        "it (apt install redis-server), or take it out of `services` in the repository's settings"
    )
    assert place.said == []
