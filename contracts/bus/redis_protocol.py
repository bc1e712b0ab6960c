"""Redis commands and replies (RESP2) of the message bus, as plain data. No connection, no redis-py."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import hiredis

from contracts.base.errors import BusUnavailable, GroupMissing, MultiAgentError, NotConfigured
from contracts.bus.mailbox import checked_payload
from contracts.ports.bus import Delivery, Done, Outgoing

FIELD: Final = b"e"
"""The one field of a stream entry; it holds the payload."""

PAGE: Final = 500

Words = tuple[str | bytes | int, ...]
Command = Words | bytes
"""The words of a command, or their bytes on the wire."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, for messages."""

    name: str
    secret: str = field(repr=False)
    """The password, which is masked: a server may repeat it in an error text."""

    def failure(self, error: Exception) -> MultiAgentError:
        """Translate a server's error: GroupMissing where it means that, else BusUnavailable."""
        if _means_group_missing(str(error)):
            return GroupMissing(f"Redis at {self.name}: {error}")
        return self.unavailable(error)

    def unavailable(self, error: Exception) -> BusUnavailable:
        """Make a BusUnavailable with the error's text."""
        text = _of_the_system(error.__cause__ or error.__context__) or str(error) or "no answer in time"
        shown = text.replace(self.secret, "***") if self.secret else text
        return BusUnavailable(f"Redis at {self.name}: {shown}")


def _of_the_system(error: BaseException | None) -> str:
    """What the operating system says of a connection, without what its drivers add; "" for other errors."""
    if not isinstance(error, OSError) or not error.errno:
        return ""
    return os.strerror(error.errno) if error.errno > 0 else error.strerror or ""


def _means_group_missing(text: str) -> bool:
    """Whether an error text says that the stream or the group does not exist."""
    # Before Redis 7.2 a blocked reader gets UNBLOCKED when its stream is deleted.
    starts = ("NOGROUP", "UNBLOCKED", "no such key")
    return text.startswith(starts) or "requires the key to exist" in text


def packed(commands: Iterable[Command]) -> bytes:
    """The bytes of the commands on the wire."""
    return b"".join(one if isinstance(one, bytes) else _pack(one) for one in commands)


def _pack(words: Words) -> bytes:
    wire: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # stubs: a tuple of one
    return wire


def store_commands(messages: Sequence[Outgoing]) -> list[Command]:
    """XADD for each message. Raises TypeError for other than bytes."""
    return [("XADD", one.stream, "*", FIELD, checked_payload(one.stream, one.payload)) for one in messages]


def mirror_commands(messages: Sequence[Outgoing]) -> list[Command]:
    """PUBLISH for each message. Raises TypeError for other than bytes."""
    return [("PUBLISH", one.stream, checked_payload(one.stream, one.payload)) for one in messages]


def watcher_commands(messages: Sequence[Outgoing]) -> list[Command]:
    """Ask whether anybody would receive a mirror of these messages."""
    streams = dict.fromkeys(one.stream for one in messages)
    return [("PUBSUB", "NUMSUB", *streams), ("PUBSUB", "NUMPAT")] if streams else []


def are_watched(replies: Sequence[Any]) -> bool:
    """Evaluate the replies to `watcher_commands`; True where the server refuses to tell."""
    if not replies:
        return False
    counts, patterns = replies
    if isinstance(counts, Exception) or isinstance(patterns, Exception):
        return True
    return patterns > 0 or any(counts[1::2])


@lru_cache(maxsize=256)
def read_command(streams: tuple[str, ...], group: str, consumer: str, count: int, block_ms: int) -> bytes:
    """XREADGROUP for new entries; without BLOCK for 0, because BLOCK 0 waits for ever."""
    block: Words = ("BLOCK", block_ms) if block_ms else ()
    new: Words = (">",) * len(streams)
    return _pack(("XREADGROUP", "GROUP", group, consumer, "COUNT", count, *block, "STREAMS", *streams, *new))


def done_commands(done: Done) -> list[Command]:
    """XACK and XDEL of the entries, one of each a stream."""
    by_stream: dict[str, list[str]] = {}
    for delivery in done.deliveries:
        by_stream.setdefault(delivery.stream, []).append(delivery.entry_id)
    commands: list[Command] = []
    for stream, entry_ids in by_stream.items():
        commands += [("XACK", stream, done.group, *entry_ids), ("XDEL", stream, *entry_ids)]
    return commands


def deliveries(stream: str, entries: Sequence[Any]) -> list[Delivery]:
    """Entries as read.

    One that was deleted meanwhile is left out. One without the field FIELD gets an empty payload, so that its
    reader dead-letters it.
    """
    return [
        Delivery(stream, entry_id.decode(), _payload(fields))
        for entry_id, fields in entries
        if fields is not None
    ]


def last_delivered(groups: Sequence[Any], group: str) -> bytes | None:
    """The id of the last entry delivered, from the reply to XINFO GROUPS; None without the group."""
    for fields in groups:
        described = dict(zip(fields[::2], fields[1::2], strict=False))
        if described[b"name"] == group.encode():
            return bytes(described[b"last-delivered-id"])
    return None


def _payload(fields: Sequence[bytes]) -> bytes:
    if fields[0] == FIELD:
        return fields[1]
    return dict(zip(fields[::2], fields[1::2], strict=False)).get(FIELD, b"")


def eviction_policy(config: Any, info: Any) -> str:
    """maxmemory-policy from the replies to CONFIG GET and INFO memory; "" when neither has it."""
    if isinstance(config, list) and len(config) == 2:
        return str(config[1].decode())
    return info_field(info, "maxmemory_policy")


def check_eviction(place: Place, policy: str) -> None:
    """Raise NotConfigured for a policy that evicts streams when memory is short."""
    if policy not in {"", "noeviction"}:
        raise NotConfigured(
            f"Redis at {place.name} has maxmemory-policy {policy}, which drops messages when memory "
            "is short; set it to noeviction: redis-cli CONFIG SET maxmemory-policy noeviction"
        )


def info_field(info: Any, name: str) -> str:
    """One field of a reply to INFO; "" when it is absent or INFO was refused."""
    if not isinstance(info, bytes):
        return ""
    fields = dict(line.partition(":")[::2] for line in info.decode(errors="replace").splitlines())
    return fields.get(name, "")


def glob(name: str) -> str:
    """A channel name as a Redis pattern in which only `*` is special."""
    return "".join(f"\\{char}" if char in "?[]\\" else char for char in name)
