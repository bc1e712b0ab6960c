"""Starts test sessions, collects their events, and writes the report.

It runs inside the sandbox as `python -I -S supervise.py` and reads an order as JSON from stdin:
`{"nonce": str, "runs": [{"argv": [str], "beside": [str] or null, "order": {...}}], "unchanged": [path]}`. The
runs are executed one after the other, and all that a run has started is ended before the next. Each run reads
its own order from its stdin, with two additions: `token`, and `pipe`, the descriptor for events. An event is
one line of JSON that contains the token. The output of the runs goes to stderr.

`beside` is the program of the code under test, where that has a process of its own. It gets two descriptors
as arguments, and the run finds their other ends in its order, as `peer` and `bell`. It does not start where
it could reach into the process of the tests.

The report goes to stdout, which no run can write to: zlib over JSON,
`{"nonce", "runs": [{"exit_code", "events", "missing", "rewritten"}]}`. `missing` says that the program does
not exist, `rewritten` which of the files named in `unchanged` differed afterwards.

This process imports nothing of the tree and is not dumpable: the runs can neither read its memory, which
contains the nonce, nor open its descriptors through /proc. They can kill it; then there is no report.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from typing import Any

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE, _LANDLOCK_ALLOW, _LANDLOCK_ENTER = 444, 445, 446
_LANDLOCK_REFER = 1 << 13
_MAX_EVENT_BYTES = 32 * 1024 * 1024
_PIPE_SECONDS = 2
_END_SECONDS = 0.002


def main() -> None:
    """Execute the order and write the report."""
    prctl = ctypes.CDLL(None).prctl
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError("this process cannot be closed to others")
    # Whatever a run leaves behind becomes a child of this process when its parent ends.
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("this process cannot adopt what its children leave behind")
    order = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    before = {path: _digest(path) for path in order["unchanged"]}
    runs = [_run(run["argv"], run.get("beside"), run["order"], before) for run in order["runs"]]
    report = zlib.compress(json.dumps({"nonce": order["nonce"], "runs": runs}).encode())
    while report:
        report = report[os.write(1, report) :]


def _run(
    argv: list[str], beside: list[str] | None, order: dict[str, Any], before: dict[str, str]
) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    token = secrets.token_hex(16)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    ours, theirs = zip(socket.socketpair(), socket.socketpair(), strict=True) if beside else ((), ())
    peer, bell = [end.fileno() for end in ours] or (None, None)
    try:
        passed = [write_end, *(end.fileno() for end in ours)]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=2, pass_fds=passed, env=environment)
        if beside:
            _start_beside(beside, child.pid, [end.fileno() for end in theirs], environment)
    except FileNotFoundError:
        return {"exit_code": 127, "events": [], "missing": True}
    finally:
        os.close(write_end)
        for end in (*ours, *theirs):
            end.close()
    lines: list[bytes] = []
    reader = threading.Thread(target=_read_lines, args=(read_end, lines), daemon=True)
    reader.start()
    told = {**order, "token": token, "pipe": write_end, "peer": peer, "bell": bell}
    child.communicate(json.dumps(told).encode())
    _end_descendants()
    reader.join(_PIPE_SECONDS)
    events = [event for event in map(_parse_event, list(lines)) if event.pop("token", None) == token]
    rewritten = [path for path, digest in before.items() if _digest(path) != digest]
    return {"exit_code": child.returncode, "events": events, "rewritten": rewritten}


def _start_beside(argv: list[str], tests: int, descriptors: list[int], environment: dict[str, str]) -> None:
    """Start a program that cannot reach into the process `tests`; none where it could."""

    def fence() -> None:
        _fence()
        with contextlib.suppress(OSError):
            os.close(os.open(f"/proc/{tests}/mem", os.O_RDONLY))
            os._exit(1)

    arguments = [*argv, *map(str, descriptors)]
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=descriptors,
            env=environment,
            preexec_fn=fence,  # noqa: PLW1509  # no other thread runs yet
        )


def _fence() -> None:
    """Enter a domain of Landlock's, which keeps this process out of those around it and outside of it.

    It forbids nothing else. Does nothing where the kernel has no Landlock.
    """
    libc = ctypes.CDLL(None)
    attributes = struct.pack("=Q", _LANDLOCK_REFER)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return
    # What every domain would forbid.
    rule = ctypes.create_string_buffer(struct.pack("=Qi", _LANDLOCK_REFER, os.open("/", os.O_PATH)))
    libc.syscall(_LANDLOCK_ALLOW, ruleset, 1, rule, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.syscall(_LANDLOCK_ENTER, ruleset, 0)
    os.close(ruleset)


def _digest(path: str) -> str:
    """Return what the content of a file hashes to, "" when it cannot be read as a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def _end_descendants() -> None:
    """End all processes that the run has left, those included that left its session or its parent."""
    while descendants := _descendants():
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_END_SECONDS)


def _descendants() -> list[int]:
    parents = dict(map(_parent, filter(str.isdigit, os.listdir("/proc"))))
    found, fresh = [], [os.getpid()]
    while fresh:
        fresh = [pid for pid, parent in parents.items() if parent in fresh]
        found += fresh
    return found


def _parent(pid: str) -> tuple[int, int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(pid), int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return int(pid), 0


def _read_lines(descriptor: int, lines: list[bytes]) -> None:
    room = _MAX_EVENT_BYTES
    with os.fdopen(descriptor, "rb") as pipe:
        while room > 0 and (line := pipe.readline(room)):
            lines.append(line)
            room -= len(line)


def _parse_event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


if __name__ == "__main__":
    main()
