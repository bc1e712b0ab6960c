"""A real `multi-agent worker` on a private Redis, and the orchestrator's side of what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.payloads import Control, Execution, Heartbeat
from contracts.ports.bus import Outgoing
from tests.agents.owner import SECONDS, Owner, until
from tests.agents.support import request_event, task_request
from tests.mutation.recorder import RUNNING_TEST
from tests.project.documented import ROOT
from tests.support.measuring import measuring
from tests.support.redis_servers import PrivateRedis

KEEPER = "keeper-1"
LEASE_SECONDS = 1.5
COMMAND = (sys.executable, "-P", "-m", "multi_agent.cli", "worker", "--worker-id", KEEPER)
LASTING = Channels.requests("lasting")
BRIEF = Channels.requests("brief")


class KeptWorker:
    """Starts the command and speaks with it."""

    def __init__(self, folder: Path, redis: PrivateRedis, owner: Owner) -> None:
        self.folder = folder
        self.redis = redis
        self.owner = owner
        self.log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str, **env: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "MULTI_AGENT_DATA_DIR": str(self.folder / "data"),
            "MULTI_AGENT_LEASE_SECONDS": str(LEASE_SECONDS),
            "REDIS_URL": self.redis.url,
            # Only then: what is measured is slower, and these tests watch the clock.
            **(measuring() if RUNNING_TEST in os.environ else {}),
        }
        roles = ("--agents", "tests.keeper.actors", "--role", "lasting", "--role", "brief")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *roles, *words], cwd=ROOT, env=environment | env, stdout=log, stderr=log
            )

    async def ready(self, slots: int = 4, seconds: float = SECONDS) -> None:
        """Return when that many slot processes have announced themselves."""
        await self.owner.serve(LASTING, BRIEF)
        await until(lambda: len({one.worker_id for one in self.owner.heartbeats}) >= slots, seconds)

    async def dispatch(
        self,
        name: str,
        orders: dict[str, Any],
        *,
        role: str = "lasting",
        suspect: bool = False,
        seconds: int = 600,
    ) -> None:
        request = task_request(
            role=role,
            dispatch_id=name,
            task_id=name,
            description=json.dumps(orders),
            writable=tuple(orders.get("files", ())),
            timeout_seconds=seconds,
        )
        stream = Channels.suspects(role) if suspect else Channels.requests(role)
        await self.owner.dispatch_raw(encode(request_event(request)), stream=stream)

    async def tell(self, worker_id: str, **fields: Sequence[str]) -> None:
        """Send a control message to one worker."""
        event = TaskEvent[Control](
            id="control",
            source="orchestrator/test",
            type=EventType.WORKER_CONTROL,
            time="2025-06-15T12:00:00Z",
            data=Control(**{name: tuple(values) for name, values in fields.items()}),
        )
        await self.owner.bus.broadcast([Outgoing(Channels.control(worker_id), encode(event))])

    @property
    def latest(self) -> dict[str, Heartbeat]:
        """The last heartbeat of each worker that has not left."""
        left = {one.worker_id for one in self.owner.left}
        return {one.worker_id: one for one in self.owner.heartbeats if one.worker_id not in left}

    def executions(self) -> dict[str, tuple[Heartbeat, Execution]]:
        """What is held, by dispatch."""
        return {
            held.dispatch_id: (heartbeat, held)
            for heartbeat in self.latest.values()
            for held in heartbeat.executions
        }

    async def started(self, name: str) -> Heartbeat:
        """The heartbeat that lists a dispatch as started."""

        def listed() -> bool:
            return name in self.executions() and self.executions()[name][1].started

        await until(listed)
        return self.executions()[name][0]

    def pid_of(self, name: str) -> int:
        """The process that wrote this file."""
        return int((self.folder / name).read_text())

    def mark(self, name: str) -> str:
        return str(self.folder / name)

    async def marked(self, name: str, seconds: float = SECONDS) -> int:
        """Wait for a file that an agent writes its process id to."""
        path = self.folder / name
        await until(lambda: path.exists() and path.read_text() != "", seconds)
        return int(path.read_text())

    def stop(self, seconds: float = 10.0) -> int:
        """SIGTERM, and the exit code within this time."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop(15)
            self.process.kill()
            self.process.wait()
        assert not self.living(), "a slot process outlived its keeper"

    def living(self, seconds: float = 2.0) -> list[int]:
        """The processes of this worker that run, after some time for them to end."""
        until_then = time.monotonic() + seconds
        while (found := self._found()) and time.monotonic() < until_then:
            time.sleep(0.05)
        return found

    def _found(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    environment = (entry / "environ").read_bytes()
                    if f"MULTI_AGENT_DATA_DIR={self.folder}/data".encode() in environment:
                        found.append(int(entry.name))
        return found


def is_running(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    return _stat(pid)[0] not in {"Z", "X"}


def parent_of(pid: int) -> int:
    """The process id of a process's parent."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields after the name, which is in parentheses and may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]
