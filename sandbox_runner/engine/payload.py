"""Encodes what the host sends into a sandbox: the guest's modules, the job, the files, standard input."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from contracts.base.errors import InvalidInput, UnsafePath
from contracts.base.paths import MAX_PATH_BYTES, check_path, check_tree
from contracts.ports.sandbox import SandboxLimits, SandboxRequest
from sandbox_runner.guest.wire import LENGTH

WORK = "/work"
TOOLBOX = "/opt/toolbox"
"""Where a sandbox of this machine has its pytest and checkers."""
UNPRIVILEGED = 65_534
MAX_COLLECT_BYTES = 64 * 1024 * 1024
MAX_COLLECT_FILES = 10_000
MEGABYTE = 1024 * 1024

# The program of process 1. It reads the guest's modules from standard input. If they do not come within 30
# seconds it ends: an engine that was killed meanwhile leaves standard input open, so there is no end of file.
BOOT = """\
import json, os, select, sys, types
def take(count):
    parts = []
    while count:
        part = os.read(0, min(count, 65536))
        if not part:
            os._exit(0)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
if not select.select([0], [], [], 30)[0]:
    os._exit(0)
boot = json.loads(take(int.from_bytes(take(8), "big")))
for name, source in boot["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(source, name, "exec"), module.__dict__)
    owner, _, leaf = name.rpartition(".")
    if owner:
        setattr(sys.modules[owner], leaf, module)
sys.modules["sandbox_runner.guest.main"].main(boot["launch"])
"""
PYTHON_OPTIONS = ("-I", "-S", "-c", BOOT)

_MODULES = (
    "wire",
    "linux",
    "landlock",
    "watchdog",
    "enter",
    "isolate",
    "collect",
    *(f"measuring.{name}" for name in ("sockets", "processes", "mappings", "descriptors", "memory")),
    "supervise",
    "main",
)
_WORKSPACE_MODULES = ("placement", "preparation", "operations", "services", "workspace")
_OPEN_FILES = 256
# Of signals that wait, and of timers.
_SIGNALS = 1_024
ENVIRONMENT = {
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
}


@dataclass(frozen=True, slots=True)
class GuestSetup:
    """What a backend leaves to the guest to set up."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables added to the clean environment."""

    isolation: Mapping[str, Any] | None = None
    """Settings for guest.isolate; None when the container engine isolates the program completely."""

    rlimits: Mapping[str, int] = field(default_factory=dict)
    """Resource limits in addition to those that every backend sets, by name, such as RLIMIT_NPROC."""


def boot_block(launch: Mapping[str, Any] | None = None, *, workspace: bool = False) -> bytes:
    """Encode the first block: the guest's modules, and how to enter namespaces (see guest.enter)."""
    return block(json.dumps({"modules": _guest_modules(workspace), "launch": launch}).encode())


@cache
def _guest_modules(workspace: bool) -> tuple[tuple[str, str], ...]:
    folder = resources.files("sandbox_runner.guest")
    names = (*_MODULES, *(_WORKSPACE_MODULES if workspace else ()))
    loaded = [
        (f"sandbox_runner.guest.{n}", (folder / f"{n.replace('.', '/')}.py").read_text("utf-8"))
        for n in names
    ]
    packages = ("sandbox_runner", "sandbox_runner.guest", "sandbox_runner.guest.measuring")
    return (*((name, "") for name in packages), *loaded)


@dataclass(frozen=True, slots=True)
class Job:
    """A request, encoded for the guest."""

    blocks: bytes
    """The blocks that follow the boot block."""

    nonce: str
    """The random text that the guest must repeat in its result."""


def make_job(request: SandboxRequest, setup: GuestSetup) -> Job:
    """Check the request and encode it. Raises UnsafePath, InvalidInput."""
    check_request(request)
    nonce = secrets.token_hex(16)
    job = {
        "argv": request.argv,
        "env": {**ENVIRONMENT, **setup.environment, **request.env},
        "files": [(path, len(content)) for path, content in request.files.items()],
        "read_only": request.read_only,
        "collect": request.collect,
        "workdir": WORK,
        "nonce": nonce,
        "isolation": setup.isolation,
        "limits": guest_limits(request.limits, setup),
    }
    contents = b"".join(request.files.values())
    return Job(block(json.dumps(job).encode()) + block(contents) + block(request.stdin), nonce)


def guest_limits(limits: SandboxLimits, setup: GuestSetup) -> dict[str, Any]:
    """Return the limits that the guest enforces."""
    rlimits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": _SIGNALS,
    }
    rlimits["RLIMIT_FSIZE"] = limits.disk_mb * MEGABYTE
    return {
        "wall_seconds": limits.wall_seconds,
        "output_bytes": limits.output_bytes,
        "memory_bytes": limits.memory_mb * MEGABYTE,
        "collect_bytes": collect_bytes(limits),
        "collect_files": collect_files(limits),
        "path_bytes": MAX_PATH_BYTES,
        "rlimits": {**rlimits, **setup.rlimits},
    }


def collect_bytes(limits: SandboxLimits) -> int:
    """Return the most bytes of files that are collected."""
    return min(limits.disk_mb * MEGABYTE, MAX_COLLECT_BYTES)


def collect_files(limits: SandboxLimits) -> int:
    """Return the most files that are collected."""
    return min(limits.file_count, MAX_COLLECT_FILES)


def check_request(request: SandboxRequest) -> None:
    """Check what no sandbox could do. Raises UnsafePath, InvalidInput."""
    check_tree(request.files)
    for pattern in request.collect:
        check_path(pattern.removesuffix("/"))
    if unknown := sorted(set(request.read_only) - request.files.keys()):
        raise InvalidInput(f"read_only: {unknown[0]!r} is none of the files")
    limits = request.limits
    for name in ("wall_seconds", "memory_mb", "processes", "cpus", "output_bytes", "disk_mb", "file_count"):
        if getattr(limits, name) <= 0:
            raise InvalidInput(f"limits.{name}: must be above 0, is {getattr(limits, name)}")
    if not request.argv or not request.argv[0]:
        raise InvalidInput("argv: must name a command, is empty")
    texts = [*request.argv, *request.env, *request.env.values()]
    if any("\0" in text for text in texts) or any("=" in name or not name for name in request.env):
        raise InvalidInput("argv, env: no NUL character may be in them, and no '=' in a variable's name")
    size = sum(map(len, request.files.values()))
    if size > limits.disk_mb * MEGABYTE:
        raise InvalidInput(f"files: {size} bytes do not fit limits.disk_mb = {limits.disk_mb}")
    if len(request.files) > limits.file_count:
        raise UnsafePath(f"files: {len(request.files)} are more than limits.file_count = {limits.file_count}")


def block(data: bytes) -> bytes:
    """Encode a block of the protocol (see guest.wire)."""
    return LENGTH.pack(len(data)) + data
