"""What the host sends into a sandbox: the guest's modules, the job, the files, standard input."""

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
UNPRIVILEGED = 65_534
MAX_COLLECT_BYTES = 64 * 1024 * 1024
MAX_COLLECT_FILES = 10_000
MEGABYTE = 1024 * 1024

# The program that process 1 starts as: it reads the guest's modules from standard input. They come at once
# or never: an engine that was killed meanwhile leaves standard input open, so there is no end of file.
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

_MODULES = ("wire", "linux", "landlock", "lifeline", "enter", "isolate", "collect", "supervise", "main")
_OPEN_FILES = 256
_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
}


@dataclass(frozen=True, slots=True)
class Walls:
    """What a backend leaves to the guest.

    environment: added to the clean one. isolation: see guest.isolate, None when the container does it all.
    rlimits: beyond those of every backend. poll_memory: whether the guest must watch memory itself.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    isolation: Mapping[str, Any] | None = None
    rlimits: Mapping[str, int] = field(default_factory=dict)
    poll_memory: bool = False


def boot_block(launch: Mapping[str, Any] | None = None) -> bytes:
    """The first block: the modules, and how to get into namespaces (see guest.enter)."""
    return _block(json.dumps({"modules": _guest_modules(), "launch": launch}).encode())


@cache
def _guest_modules() -> tuple[tuple[str, str], ...]:
    folder = resources.files("sandbox_runner.guest")
    loaded = [(f"sandbox_runner.guest.{n}", (folder / f"{n}.py").read_text("utf-8")) for n in _MODULES]
    return (("sandbox_runner", ""), ("sandbox_runner.guest", ""), *loaded)


@dataclass(frozen=True, slots=True)
class Job:
    """The blocks after the first, and the nonce that the result must carry."""

    blocks: bytes
    nonce: str


def make_job(request: SandboxRequest, walls: Walls) -> Job:
    """Check the request and encode it. Raises UnsafePath, InvalidInput."""
    check_request(request)
    nonce = secrets.token_hex(16)
    job = {
        "argv": request.argv,
        "env": {**_ENVIRONMENT, **walls.environment, **request.env},
        "files": [(path, len(content)) for path, content in request.files.items()],
        "collect": request.collect,
        "workdir": WORK,
        "nonce": nonce,
        "walls": walls.isolation,
        "limits": _guest_limits(request.limits, walls),
    }
    contents = b"".join(request.files.values())
    return Job(_block(json.dumps(job).encode()) + _block(contents) + _block(request.stdin), nonce)


def _guest_limits(limits: SandboxLimits, walls: Walls) -> dict[str, Any]:
    rlimits = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": _OPEN_FILES, "RLIMIT_MSGQUEUE": 0}
    rlimits["RLIMIT_FSIZE"] = limits.disk_mb * MEGABYTE
    return {
        "wall_seconds": limits.wall_seconds,
        "output_bytes": limits.output_bytes,
        "memory_bytes": limits.memory_mb * MEGABYTE if walls.poll_memory else 0,
        "collect_bytes": collect_bytes(limits),
        "collect_files": collect_files(limits),
        "path_bytes": MAX_PATH_BYTES,
        "rlimits": {**rlimits, **walls.rlimits},
    }


def collect_bytes(limits: SandboxLimits) -> int:
    """How many bytes of files come back at most."""
    return min(limits.disk_mb * MEGABYTE, MAX_COLLECT_BYTES)


def collect_files(limits: SandboxLimits) -> int:
    """How many files come back at most."""
    return min(limits.file_count, MAX_COLLECT_FILES)


def check_request(request: SandboxRequest) -> None:
    """Raises UnsafePath, InvalidInput for what no sandbox can do."""
    check_tree(request.files)
    for pattern in request.collect:
        check_path(pattern.removesuffix("/"))
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


def _block(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data
