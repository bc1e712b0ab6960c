"""The slow probes: programs that misbehave, each in a sandbox of its own, and what must happen."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.engine.payload import MEGABYTE
from sandbox_runner.probes.hoarding import HOARDING
from sandbox_runner.probes.host import CANARY, Listeners, new_marker, processes_with
from sandbox_runner.probes.model import LIMITS, Abuse, module, program
from sandbox_runner.probes.trees import TREES

SHORT = replace(LIMITS, wall_seconds=1.0)
_OVERTIME_SECONDS = 2.0
_HELD_SECONDS = 5.0
_CPU_SECONDS = 1.4
_OPEN_FILES = 256
_SMALL_INODES = 256
_SIGXFSZ, _SIGSYS, _SIGABRT, _SIGKILL = 25, 31, 6, 9
_KEY = os.path.expanduser("~/.ssh/id_ed25519")

Judge = Callable[[SandboxResult], str]
"""Returns what is wrong with a result; "" when nothing is."""


async def _run(
    sandbox: Sandbox,
    name: str,
    *arguments: str,
    limits: SandboxLimits = LIMITS,
    collect: tuple[str, ...] = (),
) -> SandboxResult | str:
    """Run one program of `inside/abuse.py`. Returns a complaint instead when its processes still run."""
    marker = new_marker()
    request = SandboxRequest(
        argv=("python", "-m", module("abuse"), name, marker, *arguments),
        files={**program("abuse"), "kept": b"1"},
        collect=collect,
        limits=limits,
    )
    result = await sandbox.run(request)
    left = processes_with(marker)
    return f"{len(left)} of its processes run on" if left else result


def _program(
    name: str,
    must: str,
    judge: Judge,
    *,
    limits: SandboxLimits = LIMITS,
    collect: tuple[str, ...] = (),
) -> Abuse:
    async def attempt(sandbox: Sandbox) -> str:
        result = await _run(sandbox, name, limits=limits, collect=collect)
        return result if isinstance(result, str) else judge(result)

    return Abuse(name, must, attempt)


def _described(result: SandboxResult) -> str:
    said = (result.stderr or result.stdout)[-200:].decode("utf-8", "replace").strip()
    return f"ended as {result.verdict} (exit code {result.exit_code}) {said}".rstrip()


def _ends(*verdicts: Verdict, code: int | None = None) -> Judge:
    def judge(result: SandboxResult) -> str:
        fine = result.verdict in verdicts and (code is None or result.exit_code == code)
        return "" if fine else _described(result)

    return judge


def _in_time(result: SandboxResult) -> str:
    if result.verdict is not Verdict.TIMEOUT:
        return _described(result)
    late = result.seconds - SHORT.wall_seconds
    return f"ended {late:.1f} s after its limit" if late > _OVERTIME_SECONDS else ""


def _bomb(result: SandboxResult) -> str:
    """Accept any limit, because it is chance which of them ends a fork bomb first."""
    return (
        _in_time(result) if result.verdict is Verdict.TIMEOUT else _ends(Verdict.OOM, Verdict.FAILED)(result)
    )


def _printed(accepts: Callable[[Any], bool]) -> Judge:
    """Judge by the JSON document that a program printed. The program must end as ok."""

    def judge(result: SandboxResult) -> str:
        if result.verdict is not Verdict.OK:
            return _described(result)
        try:
            seen = json.loads(result.stdout)
        except ValueError:
            return _described(result)
        return "" if accepts(seen) else f"saw {json.dumps(seen)[:300]}"

    return judge


def _filled(seen: dict[str, tuple[str, int, int]]) -> bool:
    size = LIMITS.disk_mb * MEGABYTE
    return all(reason == "ENOSPC" and written <= size for reason, _, written in seen.values())


def _few_inodes(seen: dict[str, tuple[str, int, int]]) -> bool:
    most = max(LIMITS.file_count, _SMALL_INODES)
    return all(reason == "ENOSPC" and number <= most for reason, number, _ in seen.values())


def _flooded(result: SandboxResult) -> str:
    size = len(result.stdout) + len(result.stderr)
    if result.verdict is Verdict.OUTPUT_LIMIT and size == LIMITS.output_bytes:
        return ""
    return f"{_described(result)[:80]}, {size} bytes were kept"


def _held(result: SandboxResult) -> str:
    if result.verdict is Verdict.OK and result.seconds < _HELD_SECONDS:
        return ""
    return f"{_described(result)} after {result.seconds:.1f} s"


def _everybody_killed(result: SandboxResult) -> str:
    fine = (
        result.exit_code == 128 + _SIGKILL
        and result.stdout == b'"alive"\n'
        and result.files == {"kept": b"1"}
    )
    return "" if fine and result.verdict is Verdict.FAILED else _described(result)


def _no_core(result: SandboxResult) -> str:
    if result.files != {"kept": b"1"}:
        return f"left the files {sorted(result.files)}"
    return _ends(Verdict.FAILED, code=128 + _SIGABRT)(result)


async def _foreign_calls(sandbox: Sandbox) -> str:
    for kind in ("i386", "x32"):
        result = await _run(sandbox, "foreign-calls", kind)
        if isinstance(result, str):
            return result
        # The engine's profile kills the program; our own filter makes the call fail with ENOSYS.
        if result.exit_code != 128 + _SIGSYS and result.stdout != b"false\n":
            return f"{kind}: {_described(result)}"
    return ""


async def _host_files(sandbox: Sandbox) -> str:
    with tempfile.NamedTemporaryFile("w+", prefix="ma-probe-") as canary:
        canary.write(CANARY)
        canary.flush()
        result = await _run(sandbox, "host-files", canary.name, _KEY, "/var/run/docker.sock")
        canary.seek(0)
        if canary.read() != CANARY:
            return "changed a file of the host"
    return result if isinstance(result, str) else _printed(lambda seen: seen == [])(result)


async def _host_sockets(sandbox: Sandbox) -> str:
    with tempfile.TemporaryDirectory(prefix="ma-probe-") as folder:
        listeners = Listeners(folder)
        async with listeners.open():
            arguments = (str(listeners.port), listeners.path, listeners.name)
            result = await _run(sandbox, "host-sockets", *arguments)
    if listeners.reached:
        return f"reached the host by {', '.join(listeners.reached)}"
    return result if isinstance(result, str) else _printed(lambda seen: seen == "tried")(result)


async def crowd(sandbox: Sandbox, rogues: int, polite: int) -> str:
    """Run `rogues` programs that use up all they get, and `polite` ones, at once; return what was wrong."""
    names = list(itertools.islice(itertools.cycle(("fork-bomb", "memory", "flood")), rogues))
    limits = replace(SHORT, wall_seconds=2.0)
    results = await asyncio.gather(
        *(_run(sandbox, name, limits=limits) for name in names),
        *(_run(sandbox, "polite", collect=("result",)) for _ in range(polite)),
    )
    for name, result in zip((*names, *["polite"] * polite), results, strict=True):
        if isinstance(result, str):
            return f"{name}: {result}"
        polite = name == "polite"
        if polite and (result.verdict is not Verdict.OK or result.files != {"result": b"499500"}):
            return f"a well-behaved program among them {_described(result)}"
        if not polite and result.verdict in {Verdict.OK, Verdict.KILLED}:
            return f"{name} {_described(result)}"
    return ""


def _tree(name: str) -> Abuse:
    code, reason = TREES[name]

    async def attempt(sandbox: Sandbox) -> str:
        limits = SandboxLimits(wall_seconds=LIMITS.wall_seconds, memory_mb=LIMITS.memory_mb)
        result = await _run(sandbox, "make-tree", code, limits=limits, collect=("out/",))
        if isinstance(result, str):
            return result
        if result.verdict is not Verdict.POLICY or result.files or result.exit_code != 0:
            return _described(result)
        return "" if reason in result.stderr.decode() else f"refused for another reason: {_described(result)}"

    return Abuse(f"tree-{name}", f"refused as a whole ({reason})", attempt)


def _usage() -> tuple[Abuse, ...]:
    a_limit = "is ended by a limit in time, and leaves no process"
    child_limits = replace(LIMITS, memory_mb=128)
    return (
        _program("fork-bomb", a_limit, _bomb, limits=SHORT),
        _program("fork-bomb-daemons", a_limit, _bomb, limits=SHORT),
        _program("memory", "ends as oom", _ends(Verdict.OOM)),
        _program(
            "memory-of-a-child",
            "ends as oom although the parent exits with success",
            _ends(Verdict.OOM),
            limits=child_limits,
        ),
        _program("reserved-memory", "does no harm", _ends(Verdict.OK, Verdict.FAILED)),
        _program("disk", "gets ENOSPC, within the limit", _printed(_filled)),
        _program("inodes", "gets ENOSPC after a few hundred files", _printed(_few_inodes)),
        _program("sparse-file", "is ended by SIGXFSZ, or gets EFBIG and fails", _sparse),
        _program(
            "two-cpus",
            "two processes get one CPU's time",
            _printed(lambda seen: bool(seen < _CPU_SECONDS)),
        ),
        _program("flood", "ends as output_limit, with the output cut at the limit", _flooded),
        _program(
            "zombies", "ends as ok, even at the process limit", _printed(lambda seen: isinstance(seen, int))
        ),
        _program("descriptors", f"can open fewer than {_OPEN_FILES} files", _printed(_few_descriptors)),
        _program("core-dump", "leaves no core file", _no_core, collect=("core", "kept")),
        Abuse("neighbours", "other programs are not affected", partial(crowd, rogues=6, polite=2)),
    )


def _sparse(result: SandboxResult) -> str:
    # A Python that ignores the signal gets the error EFBIG and exits with 1.
    codes = {1, 128 + _SIGXFSZ}
    return "" if result.verdict is Verdict.FAILED and result.exit_code in codes else _described(result)


def _few_descriptors(seen: list[tuple[str, int]]) -> bool:
    return all(reason == "EMFILE" and highest < _OPEN_FILES for reason, highest in seen)


def _endings() -> tuple[Abuse, ...]:
    in_time = "ends as timeout within two seconds of the limit, and leaves no process"
    timeouts = ("sleep", "spin", "regex", "ignored-signals", "stopped")
    return (
        *(_program(name, in_time, _in_time, limits=SHORT) for name in timeouts),
        _program("daemon", "ends as ok, and the daemon is killed", _ends(Verdict.OK)),
        _program("held-outputs", "ends as ok at once, and the daemon is killed", _held),
        _program(
            "kill-everybody",
            "ends as failed, and its files are collected",
            _everybody_killed,
            collect=("kept",),
        ),
    )


def _confinement() -> tuple[Abuse, ...]:
    nothing = _printed(lambda seen: seen == [])
    foreign = Abuse("foreign-calls", "system calls of other architectures have no effect", _foreign_calls)
    return (
        *([foreign] if platform.machine() == "x86_64" else []),
        _program("find-sockets", "no socket of a service can be found", nothing),
        _program("replaced-devices", "no device can be replaced", nothing),
        Abuse("host-files", "no file of the host can be read or changed", _host_files),
        Abuse("host-sockets", "no listener of the host can be reached", _host_sockets),
    )


ABUSE = (*_confinement(), *_usage(), *_endings(), *HOARDING, *map(_tree, TREES))
