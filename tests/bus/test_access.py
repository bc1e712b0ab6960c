"""The users of a real server: what each may write, read, say and hear, tried one by one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from contracts.base.errors import NotPermitted
from contracts.bus.access import BusUser
from contracts.bus.connect import open_message_bus
from contracts.ports.bus import Done, Outgoing
from tests.support.bus_users import GuardedRedis, guarded_redis

REQUESTS, SUSPECTS, RESULTS = "agent.requests.coder", "agent.suspects.coder.gpu", "agent.results.3"
DEAD, PROGRAMS, MARK = "agent.dead_letters", "sandbox.requests", "multi-agent:incarnation"
STREAMS = (REQUESTS, SUSPECTS, RESULTS, DEAD, PROGRAMS, MARK, "anything")
CONTROL, STEPS, ANSWERS = "agent.control.w-1", "agent.steps.wf-1", "sandbox.results.w-1"
BEATS, EVENTS, COMMANDS = "agent.heartbeats", "workflow.events", "workflow.commands"
HOSTS, STOPS = "sandbox.hosts", "sandbox.control"
CHANNELS = (*STREAMS, CONTROL, STEPS, ANSWERS, BEATS, EVENTS, COMMANDS, HOSTS, STOPS)

ORCHESTRATOR, WORKER, HOST, PERSON = BusUser

MAY: dict[tuple[str, str], dict[BusUser, set[str]]] = {
    ("XADD", "* e x"): {
        ORCHESTRATOR: {REQUESTS, SUSPECTS, RESULTS, DEAD, PROGRAMS},
        WORKER: {RESULTS, DEAD, PROGRAMS},
        HOST: {DEAD},
        PERSON: set(),
    },
    ("XDEL", "1-1"): {
        ORCHESTRATOR: {REQUESTS, SUSPECTS, RESULTS, DEAD},
        WORKER: {REQUESTS, SUSPECTS},
        HOST: {PROGRAMS},
        PERSON: set(),
    },
    ("XRANGE", "- +"): {
        ORCHESTRATOR: {REQUESTS, SUSPECTS, RESULTS, DEAD},
        WORKER: set(),
        HOST: {PROGRAMS},
        PERSON: {REQUESTS, SUSPECTS, RESULTS, DEAD, PROGRAMS},
    },
    ("SET", "x"): {ORCHESTRATOR: {MARK}, WORKER: set(), HOST: set(), PERSON: {MARK}},
    ("DEL", ""): {user: set() for user in BusUser},
    ("PUBLISH", "x"): {
        ORCHESTRATOR: {REQUESTS, SUSPECTS, RESULTS, DEAD, PROGRAMS, CONTROL, EVENTS},
        WORKER: {RESULTS, DEAD, PROGRAMS, STEPS, BEATS, STOPS},
        HOST: {ANSWERS, HOSTS, BEATS, DEAD},
        PERSON: {COMMANDS},
    },
    ("SUBSCRIBE", ""): {
        ORCHESTRATOR: {BEATS, COMMANDS},
        WORKER: {CONTROL, ANSWERS, HOSTS},
        HOST: {STOPS, HOSTS},
        PERSON: set(CHANNELS),
    },
}
"""(command, its further words) -> by user, on which names it is allowed."""

NOBODY = (
    *("FLUSHALL", "KEYS *", "CONFIG GET requirepass", "CONFIG SET maxmemory 1", "ACL LIST", "ACL WHOAMI"),
    *("EVAL return(1) 0", "FUNCTION LIST", "SCRIPT FLUSH", "MONITOR", "CLIENT LIST", "CLIENT KILL ID 1"),
    *("SHUTDOWN", "REPLICAOF NO ONE", "MODULE LIST", "SAVE", "SWAPDB 0 1", "SCAN 0"),
    *(
        f"XGROUP DESTROY {REQUESTS} workers",
        f"XGROUP SETID {REQUESTS} workers 0",
        f"XTRIM {RESULTS} MAXLEN 0",
    ),
    *("RESTORE anything 0 x", "COPY anything other", "PSUBSCRIBE agent.*.x[y]"),
)


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedRedis]:
    with guarded_redis() as server:
        yield server


def allowed(guarded: GuardedRedis, user: BusUser, *words: str) -> bool:
    with guarded.client(user) as client:
        try:
            client.execute_command(*words)
        except NoPermissionError:
            return False
        except ResponseError:
            return True
        return True


@pytest.mark.parametrize("user", BusUser)
@pytest.mark.parametrize(("command", "rest"), MAY)
def test_what_a_user_may_do_to_which_name(
    guarded: GuardedRedis, user: BusUser, command: str, rest: str
) -> None:
    names = CHANNELS if "S" in command and "B" in command else STREAMS
    found = {name for name in names if allowed(guarded, user, command, name, *rest.split())}
    assert found == MAY[command, rest][user]


@pytest.mark.parametrize("user", BusUser)
def test_what_nobody_may_do(guarded: GuardedRedis, user: BusUser) -> None:
    tried = NOBODY if user is not PERSON else NOBODY[:-1]
    assert [words for words in tried if allowed(guarded, user, *words.split())] == []


@pytest.mark.parametrize(
    ("user", "password"), [("default", ""), ("worker", ""), ("worker", "guess"), ("x", "")]
)
def test_nobody_else_gets_in(guarded: GuardedRedis, user: str, password: str) -> None:
    words = f"AUTH {user} {password or 'none'}\r\nXLEN {REQUESTS}\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(guarded.socket))
        client.sendall(words.encode())
        with client.makefile("rb") as answers:
            assert [answers.readline()[:7] for _ in range(2)] == [b"-WRONGP", b"-NOAUTH"]


async def test_a_bus_says_what_its_user_may_not(guarded: GuardedRedis) -> None:
    bus = open_message_bus(guarded.url_of(WORKER))
    with guarded.client() as client:
        client.delete(REQUESTS, RESULTS)
    try:
        await bus.publish([Outgoing(RESULTS, b"mine")])
        with pytest.raises(NotPermitted, match="no permissions"):
            await bus.publish([Outgoing(REQUESTS, b"forged")])
        with pytest.raises(NotPermitted):
            await bus.broadcast([Outgoing(CONTROL, b"forged")])
        with pytest.raises(NotPermitted):
            await bus.answer(Done("workers", []), [Outgoing(RESULTS, b"mine"), Outgoing(REQUESTS, b"forged")])
    finally:
        await bus.close()
    with guarded.client() as client:
        assert client.xlen(RESULTS) == 1
        assert client.exists(REQUESTS) == 0
