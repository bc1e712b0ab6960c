"""Finds the Redis servers of this machine, for `multi-agent doctor`."""

from __future__ import annotations

from typing import NamedTuple

from multi_agent.embedded.redis_kinds import NOTES, RedisKind, find_redis


class Probe(NamedTuple):
    """Whether one kind of server is usable here."""

    name: str
    found: bool
    detail: str
    """The version, or that the server was not found."""


def probe_redis(search_path: str) -> list[Probe]:
    """Probe every kind of server, in the order in which `start_redis` tries them, by asking its version."""
    findings = []
    for kind in RedisKind:
        program = find_redis(kind, search_path)
        detail = f"{NOTES[kind]}: {program.version}" if program else "not found, or does not run here"
        findings.append(Probe(kind.value, program is not None, detail))
    return findings
