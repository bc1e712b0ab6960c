"""Limits for sandboxes without a container engine, by control groups (v2) that this process may make."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.engine import creator
from sandbox_runner.engine.payload import MEGABYTE

_MOUNT = Path("/sys/fs/cgroup")
_NEEDED = {"memory", "pids"}
_CPU_PERIOD_US = 100_000
_PREFIX = "multi-agent-sandbox:"
_EMPTY_SECONDS = 2.0


def find_parent(mount: Path = _MOUNT, own: Path = Path("/proc/self/cgroup")) -> Path | None:
    """Find the nearest group above this process that allows children with limits; None when there is none."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    name = next((line[3:] for line in lines if line.startswith("0::")), None)
    if name is None:
        return None
    here = mount / name.lstrip("/")
    for folder in (here, *here.parents):
        if not folder.is_relative_to(mount):
            return None
        if _offers_limits(folder):
            return folder
    return None


def _offers_limits(folder: Path) -> bool:
    try:
        enabled = set((folder / "cgroup.subtree_control").read_text().split())
    except OSError:
        return False
    # Moving a process into a child also needs write access to the common ancestor's list.
    return enabled >= _NEEDED and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control group of one sandbox."""

    folder: Path

    @classmethod
    def create(cls, parent: Path, limits: SandboxLimits) -> Cgroup:
        """Make a group and set its limits. Raises SandboxUnavailable."""
        maker = creator.this_process().replace("/", ":")
        folder = parent / f"{_PREFIX}{maker}:{secrets.token_hex(4)}"
        quota = int(limits.cpus * _CPU_PERIOD_US)
        try:
            folder.mkdir()
            (folder / "memory.max").write_text(str(limits.memory_mb * MEGABYTE))
            (folder / "pids.max").write_text(str(limits.processes + 2))
            for name, value in (("memory.swap.max", "0"), ("cpu.max", f"{quota} {_CPU_PERIOD_US}")):
                if (folder / name).exists():
                    (folder / name).write_text(value)
        except OSError as error:
            raise SandboxUnavailable(f"control group {folder}: {error}") from None
        return cls(folder)

    def add(self, pids: tuple[int, ...]) -> None:
        """Move processes into the group. Raises SandboxUnavailable."""
        try:
            for pid in pids:
                (self.folder / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise SandboxUnavailable(f"control group {self.folder}: {error}") from None

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed for memory."""
        try:
            lines = (self.folder / "memory.events").read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def remove(self) -> None:
        """Remove the group, in which no process may run any more. Raises SandboxUnavailable."""
        try:
            self.folder.rmdir()
        except OSError as error:
            raise SandboxUnavailable(f"control group {self.folder} cannot be removed: {error}") from None


def remove_abandoned(parent: Path) -> int:
    """Kill and remove the groups of dead processes below `parent`; return how many. Blocking.

    Raises SandboxUnavailable after it has tried all.
    """
    count, failure = 0, None
    for folder in parent.glob(f"{_PREFIX}*"):
        maker = folder.name.removeprefix(_PREFIX).rpartition(":")[0].replace(":", "/")
        if creator.is_running(maker) is not False:
            continue
        try:
            _end(folder)
            count += 1
        except OSError as error:
            failure = error
    if failure is not None:
        raise SandboxUnavailable(f"abandoned control groups below {parent}: {failure}")
    return count


def _end(folder: Path) -> None:
    """Kill what runs in the group (Linux 5.14) and remove it. Another process may have removed it already."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "cgroup.kill").write_text("1")
    until = time.monotonic() + _EMPTY_SECONDS
    while folder.is_dir():
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
