"""The self-test of a backend: the quick probes, once for each kernel, backend and version of its parts."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Sandbox
from sandbox_runner.engine.seccomp import docker_profile
from sandbox_runner.probes.model import Outcome, SandboxFacts, Status
from sandbox_runner.probes.quick import run_quick_probes

_RECENT_SECONDS: Final = 60.0


class SelfTestFailed(SandboxUnavailable):
    """A backend runs programs but does not confine them as it must. It is not used."""


class LastRun:
    """When a backend of these parts last ran a program for anybody who uses the folder."""

    def __init__(self, folder: Path, backend: str, identity: Sequence[str]) -> None:
        """For the arguments see `self_test`."""
        self._place = folder / f"{backend}-{_key([backend, *identity])}.ran"

    @property
    def is_recent(self) -> bool:
        """Whether it was within the last minute; False when that is not known."""
        try:
            return 0 <= time.time() - self._place.stat().st_mtime < _RECENT_SECONDS
        except OSError:
            return False

    def note(self) -> None:
        """It was now."""
        with suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._place.touch()


async def self_test(sandbox: Sandbox, facts: SandboxFacts, identity: Sequence[str], folder: Path) -> None:
    """Run the quick probes, unless this backend passed them before.

    `identity`: the parts of the backend (image, program, versions). `folder`: where passed tests are
    recorded; if it cannot be read or written, the test runs again the next time. A failure is not recorded,
    so that the backend is usable as soon as the cause is removed. Raises SelfTestFailed, SandboxUnavailable.
    """
    place = folder / f"{sandbox.backend}-{_key([sandbox.backend, *identity, repr(facts)])}.json"
    if _passed(place):
        return
    outcomes = await run_quick_probes(sandbox, facts)
    different = [one for one in outcomes if one.status is not Status.OK]
    if different:
        raise SelfTestFailed(_complaint(different))
    _record(place, outcomes)


def _complaint(different: list[Outcome]) -> str:
    first, *others = different
    more = f" (and {len(others)} more: {', '.join(one.probe for one in others[:5])})" if others else ""
    return f"its self-test failed: probe {first.probe!r} expected: {first.must}; it {first.seen}{more}"


def _passed(place: Path) -> bool:
    try:
        return bool(json.loads(place.read_text("utf-8"))["passed"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _record(place: Path, outcomes: list[Outcome]) -> None:
    unfinished = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({"passed": [one.probe for one in outcomes]}), "utf-8")
        unfinished.replace(place)
    except OSError:
        return


def _key(identity: Sequence[str]) -> str:
    machine = (platform.release(), platform.machine(), str(os.geteuid()))
    parts = [*identity, *machine, json.dumps(docker_profile(), sort_keys=True), _code()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """Hash the whole package, because a change of the isolation or of the probes needs a new test."""
    total = hashlib.sha256()
    for source in _sources(resources.files("sandbox_runner")):
        total.update(source.read_bytes())
    return total.hexdigest()


def _sources(folder: Traversable) -> list[Traversable]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name != "__pycache__":
            found += _sources(entry)
        elif entry.name.endswith(".py"):
            found.append(entry)
    return found
