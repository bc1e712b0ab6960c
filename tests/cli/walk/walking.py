"""Runs commands in forks of one process that has imported them all, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from multi_agent.cli import main
from tests.cli.walk.settings import Wrong

SERVES_SECONDS = 6.0
"""A command that still runs then has found nothing wrong."""
ENDS_SECONDS = 30.0
_PRELOADED = ("orchestrator.storage.migrate", "alembic.command", "contracts.bus.redis_bus", "artifacts")


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int | None
    """None when it had to be stopped."""
    said: str
    told: str
    """On standard error alone."""


class Walker:
    """Runs commands, each on a copy of one data folder."""

    def __init__(self, template: Path, room: Path) -> None:
        """template: what the current folder of a command holds; room: where the copies are made."""
        self._template, self._room = template, room
        self._count = 0
        for name in _PRELOADED:
            import_module(name)

    def run(
        self, words: tuple[str, ...], variables: Mapping[str, str], *, seconds: float = SERVES_SECONDS
    ) -> Ended:
        """Run one command to its end, or until it has served for a while."""
        self._count += 1
        folder = self._room / f"{os.getpid()}-{self._count}"
        shutil.copytree(self._template, folder)
        try:
            environment = {"HOME": str(folder), "PATH": os.environ["PATH"], **variables}
            return _watched(words, folder, environment, seconds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _watched(words: tuple[str, ...], folder: Path, variables: Mapping[str, str], seconds: float) -> Ended:
    pid = os.fork()
    if pid == 0:
        _become(words, folder, variables)
    code = _end_of(pid, seconds)
    stopped = code is None
    if stopped:
        os.kill(pid, signal.SIGTERM)
        if _end_of(pid, ENDS_SECONDS) is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    out, err = ((folder / name).read_text("utf-8", "replace") for name in ("out", "err"))
    return Ended(None if stopped else code, out + err, err)


def _end_of(pid: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def _become(words: tuple[str, ...], folder: Path, variables: Mapping[str, str]) -> NoReturn:
    os.setsid()
    for number, place in enumerate((Path("/dev/null"), folder / "out", folder / "err")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(place, flags, 0o600), number)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.argv = ["multi-agent", *words]
    code = 70
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def problem(wrong: Wrong, ended: Ended, usual: Ended) -> str | None:
    """What is wrong with how a command took a setting; None when nothing is. `usual`: how it ends without."""
    if "Traceback" in ended.said or ended.code not in {None, *range(5)}:
        return f"exit code {ended.code}, or a stack trace"
    if wrong.refused and ended.told != usual.told and ended.code != 2:
        return f"exit code {ended.code} instead of 2"
    # What is away may come back, so that who serves waits, and says so where it logs.
    if ended.code in {usual.code, None}:
        return None
    return _wrong_words(wrong, ended)


def _wrong_words(wrong: Wrong, ended: Ended) -> str | None:
    errors = [line for line in ended.told.splitlines() if line.startswith("Error: ")]
    if len(errors) > 1 or (wrong.refused and len(ended.told.splitlines()) != 1):
        return "more than one line"
    if not any(word in ended.said for word in wrong.words):
        return f"exit code {ended.code}, and no word of {' or '.join(wrong.words)}"
    return None
