"""Process 1 of a workspace: places the tree, then does what the host asks, one thing after the other."""

from __future__ import annotations

import json
import os
from typing import Any

from sandbox_runner.guest import isolate, operations, placement, preparation, supervise, wire
from sandbox_runner.guest.measuring import memory
from sandbox_runner.guest.services import GuestServices
from sandbox_runner.guest.watchdog import Watchdog, wait_for_host

_PREPARE_SECONDS = 60.0
_NOT_STARTED = 126


def serve(job: dict[str, Any]) -> None:
    """Serve commands until the host is gone or silent."""
    contents = wire.read_block()
    isolate.mount(job["isolation"])
    placed = placement.place(job["workspace"], job["isolation"])
    preparation.prepare(job["workspace"], contents, job["isolation"])
    os.chdir("/")
    meter = memory.meter_for(job["isolation"])
    isolate.drop_privileges(job["isolation"])
    workspace = _Workspace(job, meter, operations.Tree(placed, job["workdir"]))
    wire.send(wire.READY, json.dumps({"placement": placed.name, "nonce": job["nonce"]}).encode())
    while True:
        workspace.serve_one()


class _Workspace:
    def __init__(self, job: dict[str, Any], meter: supervise.Meter, tree: operations.Tree) -> None:
        self._job, self._meter, self._tree = job, meter, tree
        self._services: GuestServices | None = None

    def serve_one(self) -> None:
        wait_for_host()
        if wire.read_mark() != wire.COMMAND:
            return
        watchdog = Watchdog(_PREPARE_SECONDS)
        command = json.loads(wire.read_block())
        stdin = wire.read_block()
        os.chdir(self._job["workdir"])
        result = self._perform({**self._job, **command}, stdin, watchdog)
        os.chdir("/")
        watchdog.stop()
        wire.send(wire.RESULT, json.dumps({**result, "nonce": self._job["nonce"]}).encode())

    def _perform(self, job: dict[str, Any], stdin: bytes, watchdog: Watchdog) -> dict[str, Any]:
        """Do one thing. When this returns nothing but services is left, and nobody reads standard input."""
        if "services" in job:
            self._services = GuestServices(job)
            return {"failed": self._services.start(job["services"], job["seconds"])}
        try:
            stdin_fd = _file_of(stdin)
        except OSError as error:
            wire.send(wire.STDERR, f"standard input: {error.strerror}\n".encode())
            return {"end": "exit", "code": _NOT_STARTED, "seconds": 0.0, "oom_kills": 0}
        if name := job.get("operation"):
            return self._run(job, stdin_fd, watchdog, self._tree.work(name, job["arguments"]))
        if self._services is None:
            return self._run(job, stdin_fd, watchdog)
        self._services.go_on()
        result = self._run(job, stdin_fd, watchdog)
        self._services.tell_ended()
        return result

    def _run(
        self, job: dict[str, Any], stdin_fd: int, watchdog: Watchdog, work: supervise.Work = None
    ) -> dict[str, Any]:
        end_others = self._services.end_others if self._services else None
        return supervise.run(job, stdin_fd, watchdog, self._meter, work, end_others)


def _file_of(data: bytes) -> int:
    """Return a file that holds the data. There may be no room for it, as programs fill that folder."""
    if not data:
        return os.open("/dev/null", os.O_RDONLY)
    fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)  # noqa: S108 - a file system of the sandbox
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        os.close(fd)
        raise
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
