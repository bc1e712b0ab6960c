"""Runs pytest over the current folder and writes down what happened.

It runs inside the sandbox, as a file of its own: `python -I run_pytest.py` with an order as JSON on stdin:
`{"nonce": str, "args": [pytest arguments], "measure": [paths of the code under test], "report": path}`.
The report is JSON: `{"nonce", "exit_code", "events": [...]}`, `exit_code` being pytest's own.

Two processes: the parent imports nothing of the tree and alone knows the nonce; the child runs pytest and
tells the parent over a pipe. A solution that ends the child, or plants a report, is therefore seen. Two tests
that must fail run last in every session: where they do not, something tampers with the outcomes.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

_MESSAGE_CHARACTERS = 1_000
_CANARY_NAME = "test_must_fail.py"
_CANARY = """\
def test_must_fail_by_assert():
    assert 1 == 2


def test_must_fail_by_raise():
    raise RuntimeError("must fail")
"""


def main() -> None:
    """The parent's part: start the child, collect its events, write the report."""
    order = json.loads(sys.stdin.buffer.read())
    folder = Path(__file__).resolve().parent
    (folder / _CANARY_NAME).write_text(_CANARY)
    (folder / "pytest.ini").write_text("[pytest]\n")
    token = secrets.token_hex(16)
    exit_code, lines = _run_child(
        {
            "token": token,
            "args": order["args"],
            "measure": order["measure"],
            "folder": folder.name,
        }
    )
    events = [event for event in map(_parsed, lines) if event.pop("token", None) == token]
    report = {"nonce": order["nonce"], "exit_code": exit_code, "events": events}
    _write(Path(order["report"]), json.dumps(report))


def _run_child(order: dict[str, Any]) -> tuple[int, list[bytes]]:
    read_end, write_end = os.pipe()
    isolated = ["-I"] if sys.flags.isolated else []
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    child = subprocess.Popen(
        [sys.executable, "-B", *isolated, os.path.abspath(__file__), "--child"],
        stdin=subprocess.PIPE,
        pass_fds=[write_end],
        env=environment,
    )
    os.close(write_end)
    lines: list[bytes] = []
    # A grandchild may keep the pipe open after the child's end, so nobody waits for its end.
    reader = threading.Thread(target=_read_lines, args=(read_end, lines), daemon=True)
    reader.start()
    child.communicate(json.dumps({**order, "pipe": write_end}).encode())
    reader.join(2)
    return child.returncode, list(lines)


def _read_lines(descriptor: int, lines: list[bytes]) -> None:
    with os.fdopen(descriptor, "rb") as pipe:
        for line in pipe:
            lines.append(line)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _write(path: Path, text: str) -> None:
    # A fresh file in place of whatever the tree's code may have put there, links included.
    fresh = path.with_name(secrets.token_hex(8))
    with open(fresh, "x") as file:
        file.write(text)
    os.replace(fresh, path)


class _Pipe:
    """The child's word to the parent."""

    def __init__(self, descriptor: int, token: str) -> None:
        os.set_inheritable(descriptor, False)
        self._file = os.fdopen(descriptor, "w")
        self._token = token

    def send(self, kind: str, **values: Any) -> None:
        self._file.write(json.dumps({"token": self._token, "kind": kind, **values}) + "\n")
        self._file.flush()


def child() -> None:
    """The child's part: run pytest and tell of every step. Its exit code is pytest's."""
    order = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    pipe = _Pipe(order["pipe"], order["token"])
    # Isolated mode ignores PYTHONPATH, by which some sandboxes offer pytest; the tree has no say in it.
    sys.path += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    import pytest  # noqa: PLC0415  # the parent needs none, and the tree is not importable yet

    meter = _Meter(order["measure"])
    sys.path[:0] = [path for path in (os.getcwd(), os.path.join(os.getcwd(), "src")) if os.path.isdir(path)]
    canary = f"{order['folder']}/{_CANARY_NAME}"
    arguments = [
        "-q",
        "-rN",
        "--no-header",
        "--tb=short",
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
        "-c",
        f"{order['folder']}/pytest.ini",
        "--rootdir=.",
        "--confcutdir=.",
        *order["args"],
        canary,
    ]
    meter.start()
    exit_code = int(pytest.main(arguments, plugins=[_recorder(pytest, pipe, canary)]))
    pipe.send("end", exit_code=exit_code, coverage=meter.percent())
    sys.stdout.flush()
    sys.stderr.flush()
    # Handlers that the tree's code registered for the end have no say in the exit code.
    os._exit(exit_code)


def _recorder(pytest: Any, pipe: _Pipe, canary: str) -> Any:
    class Recorder:
        # The old style of wrapper, because Debian 12's pytest (7.2) knows no other.
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[untyped-decorator]  # pytest is Any
        def pytest_collection_modifyitems(self, items: list[Any]) -> Any:
            canaries = [item for item in items if item.nodeid.startswith(canary)]
            items[:] = [item for item in items if not item.nodeid.startswith(canary)]
            yield
            items.extend(canaries)

        def pytest_collection_finish(self, session: Any) -> None:
            ids = [item.nodeid for item in session.items if not item.nodeid.startswith(canary)]
            pipe.send("collected", ids=ids)

        def pytest_collectreport(self, report: Any) -> None:
            if report.outcome != "passed":
                pipe.send(
                    "not_collected",
                    id=report.nodeid,
                    outcome=report.outcome,
                    message=_message(report.longrepr),
                )

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when != "call" and report.outcome == "passed":
                return
            pipe.send(
                "canary" if report.nodeid.startswith(canary) else "test",
                id=report.nodeid,
                when=report.when,
                outcome=report.outcome,
                message=_message(report.longrepr) if report.outcome == "failed" else "",
            )

    return Recorder()


def _message(longrepr: Any) -> str:
    """The first line of the crash message."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message).strip().split("\n")[0][:_MESSAGE_CHARACTERS]
    if isinstance(longrepr, tuple):
        return str(longrepr[-1])[:_MESSAGE_CHARACTERS]
    lines = str(longrepr).strip().split("\n")
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines)[-1][:_MESSAGE_CHARACTERS]


class _Meter:
    """Line coverage of the given files, None where coverage is not installed or nothing can be measured."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = [os.path.abspath(path) for path in paths]
        self._coverage: Any = None
        if not paths:
            return
        try:
            import coverage  # noqa: PLC0415  # it may be absent
        except ImportError:
            return
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=self._paths)

    def start(self) -> None:
        if self._coverage is not None:
            self._coverage.start()

    def percent(self) -> float | None:
        if self._coverage is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._coverage.stop()
            counts = [self._count(path) for path in self._paths]
        lines = sum(total for total, _ in counts)
        return round(100 * sum(hit for _, hit in counts) / lines, 2) if lines else None

    def _count(self, path: str) -> tuple[int, int]:
        try:
            _, statements, _, missing, _ = self._coverage.analysis2(path)
        except Exception:
            # A file that coverage cannot read, whatever the reason, is left out of the figure.
            return 0, 0
        return len(statements), len(statements) - len(missing)


if __name__ == "__main__":
    child() if "--child" in sys.argv[1:] else main()
