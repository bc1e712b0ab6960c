"""What executions could leave on this machine: containers, processes, control groups, mounts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.ports.sandbox import Sandbox
from sandbox_runner.docker.sandbox import DockerSandbox

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What there is of the sandboxes of one process."""

    containers: frozenset[str]
    processes: frozenset[int]
    cgroups: frozenset[str]
    mounts: frozenset[str]

    @classmethod
    def now(cls, sandbox: Sandbox, place: str) -> Leftovers:
        """Of this process; mounts are those at or from below the folder `place`."""
        owner = os.getpid()
        return cls(
            frozenset(container["Id"] for container in _containers_of(owner, sandbox)),
            frozenset(sandboxes_of(owner, sandbox)),
            frozenset(str(group) for group in _local_groups() if f":{owner}:" in group.name),
            frozenset(mounts_within(place)),
        )

    def since(self, sandbox: Sandbox, place: str) -> dict[str, list[Any]]:
        """What has come since then, by kind."""
        now = asdict(Leftovers.now(sandbox, place))
        more = {kind: sorted(found - getattr(self, kind)) for kind, found in now.items()}
        return {kind: found for kind, found in more.items() if found}


def sandboxes_of(pid: int, sandbox: Sandbox) -> list[int]:
    """Ids of process 1 of all sandboxes that a process runs, those that wait for a job included."""
    if isinstance(sandbox, DockerSandbox):
        running = [found["Id"] for found in _containers_of(pid, sandbox) if found["State"] == "running"]
        return [sandbox.client.inspect_container(container)["State"]["Pid"] for container in running]
    return [found for found in _processes() if _is_first(found) and pid in _ancestors(found)]


def processes_within(place: str) -> list[int]:
    """Ids of processes whose file system is made of something below `place`, and of their launchers."""
    here = os.stat("/proc/self/ns/pid").st_ino
    return [pid for pid in _processes() if _lives_in(pid, place, here)]


def shims_within(place: str) -> list[int]:
    """Ids of the processes that an engine below `place` has, one for each container that runs."""
    return [pid for pid in _processes() if _is_shim(pid, place)]


def groups_within(name: str) -> list[str]:
    """Control groups of sandboxes without an engine; those with processes in an engine's own group `name`.

    An empty one that an engine left when it was killed is not ours to remove.
    """
    roots = [_GROUPS / name, *(root / name for root in _GROUPS.iterdir() if root.is_dir())]
    engine = [path for root in roots if root.is_dir() for path in root.iterdir() if _is_populated(path)]
    return [str(path) for path in (*engine, *_local_groups())]


def _is_populated(group: Path) -> bool:
    try:
        return bool((group / "cgroup.procs").read_text().strip())
    except OSError:
        return False


def mounts_within(place: str) -> list[str]:
    """Mount points of this process at or from below a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if f"{place}/" in line]


def unfinished_within(place: str) -> list[str]:
    """Mount points of layers that an engine below `place` was making, for no container yet, when killed."""
    ours = {f"overlay2/{layer}/merged" for layer in _layers_of_nobody(Path(place, "data"))}
    return [
        mount
        for mount in mounts_within(place)
        if mount.endswith("-init/merged") or mount.removeprefix(f"{place}/data/") in ours
    ]


def _layers_of_nobody(data: Path) -> Iterator[str]:
    """Layers of containers that an engine has not written down, whatever folder it has made for them.

    Docker 20.10 writes a container down before it mounts its layer, Docker 26 and 28 do so later.
    """
    for record in (data / "image/overlay2/layerdb/mounts").glob("*"):
        if not (data / "containers" / record.name / "config.v2.json").exists():
            # One may go away while it is looked at.
            with suppress(FileNotFoundError):
                yield (record / "mount-id").read_text().strip()


def _containers_of(pid: int, sandbox: Sandbox) -> list[dict[str, Any]]:
    if not isinstance(sandbox, DockerSandbox):
        return []
    found = sandbox.client.containers(all=True, filters={"label": "multi-agent.sandbox=1"})
    return [each for each in found if f"/{pid}/" in each["Labels"]["multi-agent.owner"]]


def _local_groups() -> list[Path]:
    while True:
        # One may go away while it is looked for.
        with suppress(FileNotFoundError):
            return [path for path in _GROUPS.rglob("multi-agent-sandbox:*") if path.is_dir()]


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _is_shim(pid: int, place: str) -> bool:
    process = Path(f"/proc/{pid}")
    with suppress(OSError):
        name, command = (process / "comm").read_text(), (process / "cmdline").read_text()
        return name.startswith("containerd-shim") and place in command
    return False


def _is_first(pid: int) -> bool:
    numbers = _status(pid).get("NSpid", "").split()
    return len(numbers) > 1 and numbers[-1] == "1" and not _status(pid).get("State", "Z").startswith("Z")


def _ancestors(pid: int) -> Iterator[int]:
    while pid:
        pid = int(_status(pid).get("PPid", "0"))
        yield pid


def _status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _lives_in(pid: int, place: str, here: int) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        if (process / "comm").read_text().strip() == "bwrap" and place in (process / "cmdline").read_text():
            return True
        # Engines and their helpers share our process ids, sandboxes do not.
        elsewhere = os.stat(process / "ns" / "pid").st_ino != here
        lines = (process / "mountinfo").read_text().splitlines() if elsewhere else []
        # A mount below the place itself is a copy that any new mount namespace gets.
        return any(place in line and place not in line.split()[4] for line in lines)
    except (OSError, UnicodeDecodeError):
        return False
