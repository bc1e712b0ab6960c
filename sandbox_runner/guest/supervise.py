"""Runs the program: forwards its output, limits its time and memory, kills everything that it started."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import Any, Optional

from sandbox_runner.guest import landlock, linux, wire
from sandbox_runner.guest.measuring.memory import MemoryMeter
from sandbox_runner.guest.watchdog import Watchdog

_IDLE_TICK = 0.25
_SPARE_SECONDS = 5.0
_NICE = 5
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


Work = Optional[Callable[[], None]]  # noqa: UP007,UP045,RUF100 - also valid for older Pythons in the sandbox


EndOthers = Optional[Callable[[Callable[[], bool]], None]]  # noqa: UP007,UP045,RUF100 - as above


Meter = Optional[MemoryMeter]  # noqa: UP007,UP045,RUF100 - as above


def run(
    job: dict[str, Any],
    stdin_fd: int,
    watchdog: Watchdog,
    meter: Meter,
    work: Work = None,
    end_others: EndOthers = None,
) -> dict[str, Any]:
    """Run job["argv"], or `work` in a process of its own.

    meter: measures memory, where nothing else limits it.
    end_others: ends what must not stay, where not all must go. It is given what reaps ended processes.

    Return how it ended: {"end", "code", "seconds", "oom_kills"}.

    `end` is "exit" (`code` is the exit status, 128 + n after signal n), or "timeout", "oom" or "output_limit"
    when the program was killed here. `oom_kills` counts processes that the kernel killed for memory. No other
    process runs when this returns, those that `end_others` leaves aside.
    """
    supervisor = _Supervisor(job, stdin_fd, meter, work)
    watchdog.begin_phase(job["limits"]["wall_seconds"] + _SPARE_SECONDS)
    end = supervisor.loop(watchdog)
    supervisor.end_everything(end_others)
    if supervisor.drain() and end == "exit":
        end = "output_limit"
    supervisor.close()
    return {
        "end": end,
        "code": supervisor.exit_code,
        "seconds": supervisor.seconds,
        "oom_kills": _oom_kills() - supervisor.oom_kills_before,
    }


class _Supervisor:
    def __init__(self, job: dict[str, Any], stdin_fd: int, meter: Meter, work: Work) -> None:
        self._meter = meter
        self._limits = job["limits"]
        self._left = self._limits["output_bytes"]
        self.exit_code: int | None = None
        self.oom_kills_before = _oom_kills()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self._outputs = {out_read: wire.STDOUT, err_read: wire.STDERR}
        self._main = os.fork()
        if self._main == 0:
            become_program(job, (stdin_fd, out_write, err_write), work)
        for fd in (stdin_fd, out_write, err_write):
            os.close(fd)
        if meter:
            meter.begin(self._limits["memory_bytes"])
        self._started = time.monotonic()
        self._ended: float | None = None
        self._main_fd = os.pidfd_open(self._main)
        wire.send(wire.STARTED, b"")

    @property
    def seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._started

    def loop(self, watchdog: Watchdog) -> str:
        poller = select.poll()
        for fd in (0, self._main_fd, *self._outputs):
            poller.register(fd, select.POLLIN)
        deadline = self._started + self._limits["wall_seconds"]
        meter = self._meter
        while self.exit_code is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            tick = meter.wait if meter else _IDLE_TICK
            for fd, _ in poller.poll(min(tick, left) * 1000):
                if fd == 0:
                    watchdog.check()
                if fd in self._outputs and not self._forward(fd):
                    poller.unregister(fd)
            if self._left < 0:
                return "output_limit"
            if meter and meter.exceeded():
                return "oom"
            self._reap(os.WNOHANG)
        return "exit"

    def _forward(self, fd: int) -> bool:
        """Forward the available output; return False at the end of the stream."""
        data = os.read(fd, wire.CHUNK)
        if data and self._left > 0:
            wire.send(self._outputs[fd], data[: self._left])
        self._left -= len(data)
        return bool(data)

    def drain(self) -> bool:
        """Forward the remaining output after all writers have ended; return whether it exceeded the limit."""
        for fd in self._outputs:
            while self._left >= 0 and self._forward(fd):
                pass
        return bool(self._left < 0)

    def close(self) -> None:
        """Give back what this held: process 1 of a workspace runs many programs."""
        for fd in (self._main_fd, *self._outputs):
            os.close(fd)

    def _reap(self, options: int) -> bool:
        """Wait for children, adopted orphans included; return False when there are none."""
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._main:
                self._ended = time.monotonic()
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = code if code >= 0 else 128 - code
            if not options:
                return True

    def end_everything(self, end_others: EndOthers) -> None:
        """End all processes, or those that must not stay."""
        if end_others is not None:
            end_others(lambda: self._reap(os.WNOHANG))
            return
        # For process 1 of a pid namespace, -1 means the processes of this sandbox only. `isolate.shield` has
        # checked that this is process 1.
        while True:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            if not self._reap(0):
                return


def become_program(job: dict[str, Any], stdio: tuple[int, int, int], work: Work) -> None:
    """Let the child process do its work, or replace it by the program. Does not return."""
    try:
        linux.drop_capabilities()
        linux.set_dumpable(work is None)
        _write_quietly("/proc/self/oom_score_adj", b"1000")
        os.setsid()
        for number, fd in enumerate(stdio):
            os.dup2(fd, number)
        # Python ignores some, and who started us others, as nohup does.
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(0o022)
        os.nice(_NICE)  # so that the supervisor gets CPU time under any load
        for name, value in job["limits"]["rlimits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
        if work is not None:
            work()
            os._exit(0)
        os.closerange(3, 1024)
        if job["isolation"]:
            landlock.restrict(job["isolation"]["writable"])
        os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        os.write(2, f"{job['argv'][0]}: {error.strerror}\n".encode("utf-8", "replace"))
        os._exit(_NOT_FOUND if missing else _NOT_EXECUTABLE)
    finally:
        os._exit(_NOT_EXECUTABLE)


def _write_quietly(path: str, data: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(fd, data)
    except OSError:
        pass
    finally:
        os.close(fd)


def _oom_kills() -> int:
    """Return how many processes of this container the kernel killed for memory; 0 when unknown.

    The number comes from the control group, version 2 if there is one, else version 1.
    """
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0
