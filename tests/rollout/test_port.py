"""Programs and the port between them and the database: tokens, wrong requests, outages, and a rollback."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from io import BufferedReader
from pathlib import Path

import pytest

from contracts.base.errors import NotConfigured, StoreUnavailable
from multi_agent.application.rollouts.changes import rollback
from multi_agent.application.rollouts.desk import RolloutDesk
from multi_agent.application.rollouts.standing import standing_of
from multi_agent.rollout import TrafficSplitter
from multi_agent.rollout.assignment import OFF, Flag
from multi_agent.rollout.link import RolloutLink
from multi_agent.runtime.rollouts.incoming import Incoming
from multi_agent.runtime.rollouts.port import MOST_BYTES, MOST_CONNECTIONS, listening
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.sql.transactions import Body, T
from tests.project.documented import ROOT
from tests.rollout.days import ANN, Days

ALL = {"stages": [{"percent": 100, "hours": 1}]}


class Cut:
    """A database that may be away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = False

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        if self.away:
            raise StoreUnavailable("cut")
        return await self._database.write(body, durable=durable)

    async def read(self, body: Body[T]) -> T:
        if self.away:
            raise StoreUnavailable("cut")
        return await self._database.read(body)

    async def close(self) -> None:
        await self._database.close()


@pytest.fixture
async def cut(tmp_path: Path) -> AsyncIterator[Cut]:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    opened = Cut(open_database(url))
    yield opened
    await opened.close()


@pytest.fixture
async def served(cut: Cut) -> AsyncIterator[tuple[Days, str]]:
    """A rollout at 100 %, served."""
    days = Days(cut)
    await days.start(plan=ALL)
    running = asyncio.create_task(days.desk.run())
    with listening(days.desk, "127.0.0.1", 0, "secret") as url:
        yield days, url
    running.cancel()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never came"
        await asyncio.sleep(0.01)


async def link_to(url: str, token: str | None = "secret") -> RolloutLink:
    return await asyncio.to_thread(RolloutLink, url, token)


async def test_a_program_records_through_the_port_and_hears_of_a_rollback(
    served: tuple[Days, str],
) -> None:
    days, url = served
    link = await link_to(url)
    splitter = TrafficSplitter(legacy=str.lower, multi_agent=str.upper, flags=link, recorder=link)
    assert [splitter.call("Ab", key=str(number)) for number in range(20)] == ["AB"] * 20
    await until(lambda: link.waiting == 0)
    figures = (await standing_of(days.store, None, days.now)).figures
    assert (figures.multi_agent.requests, figures.multi_agent.succeeded) == (20, 20)
    await rollback(days.store, ANN, days.now)
    await until(lambda: link.flag().percent == 0)
    assert link.flag() == Flag(0, 0, "trial", 0, "rolled_back")
    assert splitter.call("Ab", key="k") == "ab"
    await asyncio.to_thread(link.close)


async def test_while_the_database_is_away_the_flag_stays_and_records_wait(
    served: tuple[Days, str], cut: Cut
) -> None:
    days, url = served
    link = await link_to(url)
    splitter = TrafficSplitter(legacy=str.lower, multi_agent=str.upper, flags=link, recorder=link)
    cut.away = True
    assert [splitter.call("Ab", key=str(number)) for number in range(700)] == ["AB"] * 700
    another = await link_to(url)
    assert another.flag().percent == 100, "a program that starts meanwhile is told what was known last"
    await asyncio.sleep(0.5)
    assert link.waiting == 1_400
    cut.away = False
    await until(lambda: link.waiting == 0)
    assert (await standing_of(days.store, None, days.now)).figures.multi_agent.ended == 700
    for one in (link, another):
        await asyncio.to_thread(one.close)


async def test_with_nobody_at_the_other_end_the_legacy_arm_answers() -> None:
    begun = time.monotonic()
    link = await link_to("http://127.0.0.1:9")
    assert link.flag() == OFF
    splitter = TrafficSplitter(legacy=str.lower, multi_agent=str.upper, flags=link, recorder=link)
    assert splitter.call("Ab", key="k") == "ab"
    assert time.monotonic() - begun < 10
    await asyncio.to_thread(link.close)


async def test_a_port_that_ends_leaves_what_it_said_last(cut: Cut) -> None:
    days = Days(cut)
    await days.start(plan=ALL)
    with listening(days.desk, "127.0.0.1", 0) as url:
        link = await link_to(url, None)
        assert link.flag().percent == 100
    await asyncio.sleep(0.6)
    assert link.flag().percent == 100
    await asyncio.to_thread(link.close)


@pytest.mark.parametrize(
    ("method", "path", "body", "token", "status"),
    [
        ("GET", "/flag", None, "secret", 200),
        ("GET", "/flag", None, "wrong", 401),
        ("GET", "/flag", None, "", 401),
        ("GET", "/", None, "secret", 404),
        ("POST", "/flag", b"[]", "secret", 404),
        ("POST", "/records", b"[]", "secret", 200),
        ("POST", "/records", b"[{}]", "secret", 400),
        ("POST", "/records", b'[{"kind": "ended"}]', "secret", 400),
        ("POST", "/records", b"\xff", "secret", 400),
        ("POST", "/records", b"[" * 100_000, "secret", 400),
        ("PUT", "/records", b"[]", "secret", 501),
    ],
)
async def test_each_wrong_request_is_answered(
    served: tuple[Days, str], method: str, path: str, body: bytes | None, token: str, status: int
) -> None:
    found = await asyncio.to_thread(ask, served[1], method, path, body, {"Authorization": f"Bearer {token}"})
    assert found == status


@pytest.mark.parametrize("length", ["", "-1", "x", str(MOST_BYTES + 1), "9" * 5_000])
async def test_a_length_that_cannot_be_is_refused(served: tuple[Days, str], length: str) -> None:
    headers = {"Authorization": "Bearer secret", "Content-Length": length}
    assert await asyncio.to_thread(ask, served[1], "POST", "/records", None, headers) == 413


def ask(url: str, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> int:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


async def test_before_the_database_was_reached_there_is_no_flag(cut: Cut) -> None:
    days = Days(cut)
    with listening(RolloutDesk(days.store), "127.0.0.1", 0) as url:
        assert await asyncio.to_thread(ask, url, "GET", "/flag", None, {}) == 503


async def test_a_place_that_is_taken_is_named(served: tuple[Days, str]) -> None:
    port = int(served[1].rpartition(":")[2])
    with (
        pytest.raises(NotConfigured, match=f"cannot be served at 127.0.0.1:{port}: Address"),
        listening(served[0].desk, "127.0.0.1", port),
    ):
        pass


@pytest.mark.parametrize(
    "url", ["ftp://a", "here", "http://", "redis://x", "http://[::1", "http://a:x", "http://a:99999"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(NotConfigured, match="URL of the rollout"):
        RolloutLink(url)


async def test_silent_connections_are_bounded_and_give_their_places_back(served: tuple[Days, str]) -> None:
    host, port = served[1].removeprefix("http://").split(":")
    headers = {"Authorization": "Bearer secret"}
    with ExitStack() as silent:
        for _ in range(MOST_CONNECTIONS):
            silent.enter_context(socket.create_connection((host, int(port)), timeout=10))
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(ask, served[1], "GET", "/flag", None, headers)
    await asyncio.sleep(0.5)
    assert await asyncio.to_thread(ask, served[1], "GET", "/flag", None, headers) == 200


def test_a_request_that_trickles_in_ends_with_its_deadline() -> None:
    here, there = socket.socketpair()
    with here, there:
        incoming = Incoming(here, 0.5, 5.0)
        reader = BufferedReader(incoming)
        there.sendall(b"GET /flag\n")
        assert reader.readline() == b"GET /flag\n"
        incoming.request_ended()
        ended = threading.Event()

        def trickle_in() -> None:
            for letter in b"GET /flag" * 6 + b"\n":
                if ended.wait(0.05):
                    return
                there.send(bytes([letter]))

        trickle = threading.Thread(target=trickle_in)
        trickle.start()
        with pytest.raises(TimeoutError):
            reader.readline()
        ended.set()
        trickle.join()


FORKED = """
import os, sys, time
from multi_agent.rollout import TrafficSplitter
splitter = TrafficSplitter(legacy=str.lower, multi_agent=str.upper)
splitter.call("Ab", key="parent")
child = os.fork()
answers = {splitter.call("Ab", key=str(n)) for n in range(10)}
if child:
    _, status = os.waitpid(child, 0)
    print(answers, status)
"""


async def test_a_program_that_forks_goes_on_in_both(served: tuple[Days, str]) -> None:
    days, url = served
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FORKED,
        cwd=ROOT,
        env={**os.environ, "MULTI_AGENT_ROLLOUT_URL": url, "MULTI_AGENT_ROLLOUT_TOKEN": "secret"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (out.decode().strip(), process.returncode) == ("{'AB'} 0", 0), err
    figures = (await standing_of(days.store, None, days.now)).figures
    assert figures.multi_agent.ended == 21, "and what each recorded was sent before it ended"


SILENT = """
import os, sys, time
from multi_agent.rollout.link import RolloutLink
link = RolloutLink(sys.argv[1])
if os.fork() == 0:
    begun = time.monotonic()
    link.flag()
    print(time.monotonic() - begun < 0.8, flush=True)
    os._exit(0)
os.wait()
os._exit(0)
"""


async def test_a_forked_process_waits_for_no_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SILENT, url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert out == b"True\n"
