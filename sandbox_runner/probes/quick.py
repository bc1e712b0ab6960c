"""The quick probes: one program checks every protection, and each finding is judged here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Sandbox, SandboxRequest, Verdict
from sandbox_runner.engine.payload import MEGABYTE, UNPRIVILEGED
from sandbox_runner.probes.inside.calls import CALLS, FAMILIES
from sandbox_runner.probes.inside.quick import SWITCHES
from sandbox_runner.probes.model import LIMITS, Outcome, SandboxFacts, module, outcome, program

_VARIABLES = {"PATH", "HOME", "LANG", "LC_CTYPE"}
_MOUNTS = ["/dev/shm", "/tmp", "/work"]  # noqa: S108 - inside
_OPEN_FILES = 256
_SMALL_INODES = 256
_NO_SUCH_CALL = "clone3"


@dataclass(frozen=True, slots=True)
class QuickProbe:
    """One thing that the program looks at."""

    name: str

    must: str
    """What `judge` accepts, in words."""

    judge: Callable[[Any, SandboxFacts], bool]
    """Tells whether what was seen is as it must be."""


def _is(*allowed: object) -> Callable[[Any, SandboxFacts], bool]:
    return lambda seen, _: seen in allowed


def _looks() -> tuple[QuickProbe, ...]:
    refused = _is("EROFS", "EACCES", "EPERM", "ENOENT", "ETXTBSY")
    nothing = _is([])
    # A call that the kernel does not have (ENOSYS) does no harm either.
    return (
        *(
            QuickProbe(n, "a socket of this family is refused (EAFNOSUPPORT)", _is("EAFNOSUPPORT"))
            for n in FAMILIES
        ),
        QuickProbe("other-families", "no address family except unix, inet and inet6 can be used", nothing),
        QuickProbe(
            "raw-sockets",
            "no raw socket can be opened",
            _is(*([reason] * 2 for reason in ("EPERM", "EACCES", "EPROTONOSUPPORT"))),
        ),
        *(
            QuickProbe(name, "the system call is refused (EPERM)", _is("EPERM", "ENOSYS"))
            for name in (*CALLS, "clone-user")
            if name != _NO_SUCH_CALL
        ),
        QuickProbe(_NO_SUCH_CALL, "the system call does not exist (ENOSYS)", _is("ENOSYS")),
        QuickProbe("mknod-block", "no block device can be made", _is("EPERM", "EACCES")),
        QuickProbe("mknod-char", "no character device can be made", _is("EPERM", "EACCES")),
        QuickProbe("root-write", "no file can be made outside of /work, /tmp and /dev/shm", nothing),
        QuickProbe("programs-write", "no program and no library can be opened for writing", nothing),
        QuickProbe("writable-mounts", "only /work, /tmp and /dev/shm can be written to", _is(_MOUNTS)),
        *(QuickProbe(name, "it cannot be opened for writing", refused) for name in SWITCHES),
        QuickProbe("only-loopback", "no network interface but lo is up", _is(["lo"], [])),
        QuickProbe("no-route", "there is no route to another host", _is("ENETUNREACH")),
        QuickProbe("socket-files", "no socket of a service can be found", nothing),
        QuickProbe("devices", "there are no devices except the harmless ones", nothing),
        *_identity(),
        *_limits(),
    )


def _is_not_root_outside(seen: int, facts: SandboxFacts) -> bool:
    return seen > 0 or not facts.started_by_root


def _identity() -> tuple[QuickProbe, ...]:
    return (
        QuickProbe("capabilities", "no capability in any set", _is(["0" * 16] * 5)),
        QuickProbe("no-new-privs", "no_new_privs is set", _is("1")),
        QuickProbe("seccomp", "a seccomp filter is in force (mode 2)", _is("2")),
        QuickProbe("user", f"user and group are {UNPRIVILEGED}", lambda seen, _: set(seen) == {UNPRIVILEGED}),
        QuickProbe("outer-user", "its user is not root outside of the sandbox", _is_not_root_outside),
        QuickProbe("uid-map", "its user ids cannot be mapped again", _is("EPERM", "EACCES")),
        QuickProbe(
            "environment", "only the variables that we set are there", lambda seen, _: _own_variables(seen)
        ),
        QuickProbe("host-name", "the host's name is not visible", _is("sandbox")),
        QuickProbe("process-1", "process 1 cannot be read", _is([])),
        QuickProbe("processes", "only process 1 and the program are visible", _is([1])),
        QuickProbe("descriptors", "no open file is inherited", _is([])),
        QuickProbe("landlock", "Landlock is in force where the kernel has it", _landlock),
    )


def _limits() -> tuple[QuickProbe, ...]:
    rlimits = [0, _OPEN_FILES, LIMITS.disk_mb * MEGABYTE]
    return (
        QuickProbe("rlimits", "no core dump, few open files, small files", _is(rlimits)),
        QuickProbe(
            "memory-limit",
            "a visible control group states the memory limit",
            _is("hidden", str(LIMITS.memory_mb * MEGABYTE)),
        ),
        QuickProbe("file-systems", "the writable file systems are small", lambda seen, _: _small(seen)),
        QuickProbe(
            "process-limit",
            f"no more than {LIMITS.processes} processes and threads",
            lambda seen, facts: seen > 0 and (seen <= LIMITS.processes or not facts.counts_processes),
        ),
    )


def _own_variables(seen: list[str]) -> bool:
    return "PATH" in seen and {name for name in seen if not name.startswith("PYTHON")} <= _VARIABLES


def _landlock(seen: str, facts: SandboxFacts) -> bool:
    return seen == "EACCES" if facts.landlock else seen in {"done", "EACCES"}


def _small(seen: dict[str, list[int]]) -> bool:
    most = {path: (LIMITS.disk_mb * MEGABYTE, LIMITS.file_count + 1) for path in _MOUNTS}
    most["/dev/shm"] = (LIMITS.disk_mb * MEGABYTE, _SMALL_INODES)  # noqa: S108 - inside
    return all(0 < seen[p][0] <= size and 0 < seen[p][1] <= inodes for p, (size, inodes) in most.items())


QUICK = _looks()


async def run_quick_probes(sandbox: Sandbox, facts: SandboxFacts) -> list[Outcome]:
    """Run the quick probes in one sandbox. Raises SandboxUnavailable when they do not complete."""
    request = SandboxRequest(
        argv=("python", "-m", module("quick"), str(LIMITS.processes)),
        files=program("calls") | program("quick"),
        limits=LIMITS,
    )
    result = await sandbox.run(request)
    try:
        seen = json.loads(result.stdout)
    except ValueError:
        seen = None
    if result.verdict is not Verdict.OK or not isinstance(seen, dict):
        said = result.stderr.decode("utf-8", "replace").strip()[-500:]
        raise SandboxUnavailable(f"its self-test did not complete: {result.verdict} {said}".rstrip())
    return [judge(look, seen.get(look.name), facts) for look in QUICK]


def judge(look: QuickProbe, seen: Any, facts: SandboxFacts) -> Outcome:
    """Compare what was seen with what must be."""
    try:
        fine = look.judge(seen, facts)
    except (TypeError, ValueError, LookupError, AttributeError):
        fine = False
    return outcome(look.name, look.must, "" if fine else f"saw {json.dumps(seen)[:300]}")
