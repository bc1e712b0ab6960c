"""Who may say what on the bus: users of a Redis server (7 or newer), one for each kind of process.

Keys are streams, and a channel has the name of the stream that it mirrors. What a user may do to which of
them stands in rules of their own, since to read a name is not to write it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from contracts.messages.channels import Channels

INCARNATION_KEY: Final = "multi-agent:incarnation"
"""Shows that the server lost its data."""

RATES_KEY: Final = "multi-agent:rates:"
"""Followed by the name of a model; counts the requests and tokens of a minute."""


class BusUser(StrEnum):
    """The users, as they are named in URLs."""

    ORCHESTRATOR = "orchestrator"
    WORKER = "worker"
    SANDBOX_HOST = "sandbox-host"
    COMMAND_LINE = "command-line"


@dataclass(frozen=True, slots=True)
class Rule:
    """These commands, on these streams or channels alone."""

    commands: str
    streams: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def __str__(self) -> str:
        allowed = [f"+{name}" for name in self.commands.split()]
        places = [*(f"~{name}" for name in self.streams), *(f"&{name}" for name in self.channels)]
        return f"({' '.join([*allowed, *places])})"


_REQUESTS: Final = (f"{Channels.AGENT_REQUESTS}.*", f"{Channels.SUSPECTS}.*")
_RESULTS: Final = (f"{Channels.AGENT_RESULTS}.*", Channels.DEAD_LETTERS)
_PROGRAMS: Final = Channels.SANDBOX_REQUESTS
_CONTROL: Final = f"{Channels.CONTROL}.*"
_STEPS: Final = f"{Channels.AGENT_STEPS}.*"
_PROGRAM_RESULTS: Final = f"{Channels.SANDBOX_RESULTS}.*"
_WORKSPACES: Final = f"{Channels.SANDBOX_WORKSPACES}.*"
_TAKEN: Final = "xreadgroup xack xdel"
_LOOKED_AT: Final = "xlen xrange xpending xinfo|groups"
# Counting names a key, asking for the time none.
_RATES: Final = Rule("hincrby hgetall hdel pexpire time", (f"{RATES_KEY}*",))
_GROUPS: Final = "xgroup|create xgroup|delconsumer"

# None of them names a stream or a channel.
_EVERYBODY: Final = (
    *("auth", "hello", "ping", "reset", "select", "info", "client|setname", "multi", "exec", "discard"),
    *("pubsub|numsub", "pubsub|numpat", "unsubscribe", "punsubscribe"),
)

RULES: Final[Mapping[BusUser, tuple[Rule, ...]]] = MappingProxyType(
    {
        BusUser.ORCHESTRATOR: (
            Rule(f"xadd {_TAKEN} {_LOOKED_AT} {_GROUPS}", (*_REQUESTS, *_RESULTS)),
            Rule("xadd", (_PROGRAMS,)),  # a dead letter that a person wants to be tried again
            Rule("set get", (INCARNATION_KEY,)),
            Rule(
                "publish",
                channels=(*_REQUESTS, *_RESULTS, _PROGRAMS, _CONTROL, Channels.WORKFLOW_EVENTS),
            ),
            Rule("subscribe", channels=(Channels.HEARTBEATS, Channels.COMMANDS)),
        ),
        BusUser.WORKER: (
            Rule(_TAKEN, _REQUESTS),
            Rule("xadd", (*_RESULTS, _PROGRAMS)),
            Rule("xlen", (_PROGRAMS,)),
            Rule(
                "publish",
                channels=(
                    *(*_RESULTS, _STEPS, Channels.HEARTBEATS),
                    *(_PROGRAMS, Channels.SANDBOX_CONTROL, _WORKSPACES),
                ),
            ),
            Rule("subscribe", channels=(_CONTROL, _PROGRAM_RESULTS, Channels.SANDBOX_HOSTS)),
            _RATES,
        ),
        BusUser.SANDBOX_HOST: (
            Rule(f"{_TAKEN} {_LOOKED_AT} {_GROUPS}", (_PROGRAMS,)),
            Rule("xadd", (Channels.DEAD_LETTERS,)),
            Rule(
                "publish",
                channels=(
                    _PROGRAM_RESULTS,
                    Channels.SANDBOX_HOSTS,
                    Channels.HEARTBEATS,
                    Channels.DEAD_LETTERS,
                ),
            ),
            Rule("subscribe", channels=(Channels.SANDBOX_CONTROL, Channels.SANDBOX_HOSTS, _WORKSPACES)),
        ),
        BusUser.COMMAND_LINE: (
            Rule(_LOOKED_AT, (*_REQUESTS, *_RESULTS, _PROGRAMS)),
            Rule("set get", (INCARNATION_KEY,)),
            Rule("publish", channels=(Channels.COMMANDS,)),
            Rule("subscribe psubscribe", channels=("*",)),
            _RATES,  # of planning
        ),
    }
)
"""What each may do besides what everybody may. What is not named is refused."""


def acl_file(passwords: Mapping[BusUser, str]) -> str:
    """Write the users as an `aclfile` of Redis, with passwords by their SHA-256 alone."""
    users = [_user(user, passwords[user]) for user in BusUser]
    return "".join(f"{line}\n" for line in ("user default off sanitize-payload resetchannels -@all", *users))


def _user(user: BusUser, password: str) -> str:
    digest = hashlib.sha256(password.encode()).hexdigest()
    words: Iterable[str] = [
        f"user {user} on sanitize-payload #{digest} resetkeys resetchannels -@all",
        *(f"+{name}" for name in _EVERYBODY),
        *map(str, RULES[user]),
    ]
    return " ".join(words)
