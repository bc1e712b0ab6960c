"""Starts test sessions, collects their events, and writes the report.

It runs inside the sandbox as `python -I -S supervise.py` and reads an order as JSON from stdin:
`{"nonce": str, "runs": [{"argv": [str], "order": {...}}], "unchanged": [path]}`. The runs are executed one
after the other, and all that a run has started is ended before the next. Each run reads its own order from
its stdin, with two additions: `token`, and `pipe`, the descriptor for events. An event is one line of JSON
that contains the token. The output of the runs goes to stderr.

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
import subprocess
import sys
import threading
import time
import zlib
from typing import Any

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
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
    runs = [_run(run["argv"], run["order"], before) for run in order["runs"]]
    report = zlib.compress(json.dumps({"nonce": order["nonce"], "runs": runs}).encode())
    while report:
        report = report[os.write(1, report) :]


def _run(argv: list[str], order: dict[str, Any], before: dict[str, str]) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    token = secrets.token_hex(16)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    try:
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=2, pass_fds=[write_end], env=environment)
    except FileNotFoundError:
        return {"exit_code": 127, "events": [], "missing": True}
    finally:
        os.close(write_end)
    lines: list[bytes] = []
    reader = threading.Thread(target=_read_lines, args=(read_end, lines), daemon=True)
    reader.start()
    child.communicate(json.dumps({**order, "token": token, "pipe": write_end}).encode())
    _end_descendants()
    reader.join(_PIPE_SECONDS)
    events = [event for event in map(_parse_event, list(lines)) if event.pop("token", None) == token]
    rewritten = [path for path, digest in before.items() if _digest(path) != digest]
    return {"exit_code": child.returncode, "events": events, "rewritten": rewritten}


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
