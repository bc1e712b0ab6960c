"""What this machine offers for a private Redis, for `multi-agent doctor`."""

from __future__ import annotations

from typing import NamedTuple

from multi_agent.embedded.redis_kinds import NOTES, RedisKind, find_redis


class Probe(NamedTuple):
    """One finding. `detail` says which version, or that it is absent."""

    name: str
    found: bool
    detail: str


def probe_redis(search_path: str) -> list[Probe]:
    """Every kind of server, in start_redis' order of preference. Runs each only to ask its version."""
    findings = []
    for kind in RedisKind:
        program = find_redis(kind, search_path)
        detail = f"{NOTES[kind]}: {program.version}" if program else "not found, or does not run here"
        findings.append(Probe(kind.value, program is not None, detail))
    return findings
