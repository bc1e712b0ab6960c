"""Starts test sessions, collects their events, and writes the report.

It runs inside the sandbox as `python -I -S supervise.py` and reads an order as JSON from stdin:
`{"nonce": str, "runs": [{"argv": [str], "order": {...}}]}`. The runs are executed one after the other. Each
run reads its own order from its stdin, with two additions: `token`, and `pipe`, the descriptor for events.
An event is one line of JSON that contains the token. The output of the runs goes to stderr.

The report goes to stdout, which no run can write to: zlib over JSON,
`{"nonce", "runs": [{"exit_code", "events", "missing"}]}`. `missing` says that the program does not exist.

This process imports nothing of the tree and is not dumpable: the runs can neither read its memory, which
contains the nonce, nor open its descriptors through /proc. They can kill it; then there is no report.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import subprocess
import sys
import threading
import zlib
from typing import Any

_PR_SET_DUMPABLE = 4
_MAX_EVENT_BYTES = 32 * 1024 * 1024
# A child of the session may keep the pipe open after the session has ended, so the wait is limited.
_PIPE_SECONDS = 2


def main() -> None:
    """Execute the order and write the report."""
    if ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError("this process cannot be closed to others")
    order = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    runs = [_run(run["argv"], run["order"]) for run in order["runs"]]
    report = zlib.compress(json.dumps({"nonce": order["nonce"], "runs": runs}).encode())
    while report:
        report = report[os.write(1, report) :]


def _run(argv: list[str], order: dict[str, Any]) -> dict[str, Any]:
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
    reader.join(_PIPE_SECONDS)
    events = [event for event in map(_parse_event, list(lines)) if event.pop("token", None) == token]
    return {"exit_code": child.returncode, "events": events}


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
