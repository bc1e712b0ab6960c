"""Runs one job: enter namespaces, isolate, write the files, run the program, send the results, exit."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from sandbox_runner.guest import collect, enter, isolate, supervise, wire
from sandbox_runner.guest.measuring import memory
from sandbox_runner.guest.watchdog import Watchdog, wait_for_host

_PREPARE_SECONDS = 60.0
_COLLECT_SECONDS = 20.0


def main(launch: dict[str, Any] | None) -> None:
    """Run one job and exit. When process 1 exits, the kernel kills all other processes of the sandbox."""
    try:
        _main(launch)
    except collect.Refused as refused:
        wire.send(wire.REFUSED, str(refused).encode("utf-8", "replace"))
    except BaseException as error:  # noqa: BLE001,RUF100 - the host must learn of any error
        wire.send(wire.BROKEN, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
    os._exit(0)


def _main(launch: dict[str, Any] | None) -> None:
    if launch and launch["kind"] == "bubblewrap":
        enter.exec_bubblewrap(launch)
    if launch and launch["kind"] == "namespaces":
        enter.enter_namespaces(launch)
    isolate.shield()
    job, watchdog = _await_job()
    if "workspace" in job:
        _serve(job, watchdog)
    contents, stdin = wire.read_block(), wire.read_block()
    stdin_fd = _sealed(stdin)
    isolate.mount(job["isolation"])
    os.chdir(job["workdir"])
    try:
        with isolate.identity(job["isolation"]):
            _write_files(job["files"], contents, frozenset(job["read_only"]))
    except OSError as error:
        wire.send(wire.BAD_INPUT, f"{error.filename or 'files'}: {error.strerror}".encode())
        return
    isolate.protect(job["isolation"], job["read_only"])
    meter = memory.meter_for(job["isolation"])
    isolate.drop_privileges(job["isolation"])
    result = supervise.run(job, stdin_fd, watchdog, meter)
    watchdog.begin_phase(_COLLECT_SECONDS)
    wire.send(wire.RESULT, json.dumps({**result, "nonce": job["nonce"]}).encode())
    if job["collect"]:
        collect.send_files(job["collect"], job["limits"])
    wire.send(wire.END, b"")


def _serve(job: dict[str, Any], watchdog: Watchdog) -> None:
    """Serve a workspace until the host is gone. Only its sandboxes get the modules for it."""
    from sandbox_runner.guest import workspace  # noqa: PLC0415 - see above

    watchdog.stop()
    workspace.serve(job)


def _await_job() -> tuple[dict[str, Any], Watchdog]:
    """Wait for the job; return it with the watchdog of its preparation.

    A sandbox may be started long before there is a job. Until then the host sends empty blocks.
    """
    while True:
        wait_for_host()
        watchdog = Watchdog(_PREPARE_SECONDS)
        if block := wire.read_block():
            return json.loads(block), watchdog
        watchdog.stop()


def _sealed(data: bytes) -> int:
    """Return a file with the data, to which nobody can write: nothing limits what it holds."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    _write_all(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def _write_files(files: list[tuple[str, int]], contents: bytes, read_only: frozenset[str]) -> None:
    view, offset = memoryview(contents), 0
    for path, size in files:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        mode = 0o444 if path in read_only else 0o644
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            _write_all(fd, view[offset : offset + size])
        finally:
            os.close(fd)
        offset += size


def _write_all(fd: int, data: "bytes | memoryview") -> None:  # noqa: UP037 - also valid for older Pythons in the sandbox
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
