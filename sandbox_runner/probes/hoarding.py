"""Ways to hold more memory than a limit, the kernel's above all. All must end as oom, or hold nothing."""

from __future__ import annotations

from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.probes.model import Abuse, module, program

LIMITS = SandboxLimits(memory_mb=64, wall_seconds=20, processes=16, disk_mb=256, file_count=2_000)
_MOST_MB = LIMITS.memory_mb * 5 // 4
WAYS = (
    "shared-unseen",
    "shared-first-page",
    "files",
    "page-tables",
    "mappings",
    "first-thread-ended",
    "sockets",
    "closed-sockets",
    "connections",
    "datagrams",
    "pipes",
    "hidden-pipes",
    "sent-pipes",
    "watches",
    "events",
    "semaphores",
    "segments",
)
"""See inside/hoarding.py."""
UNSEEN = ("sent-events", "cloned-events", "standard-input")
"""See inside/hoarding_unseen.py."""


def _judge(result: SandboxResult) -> str:
    if result.verdict is Verdict.OOM and not result.stdout:
        return ""
    said = (result.stdout or result.stderr)[-200:].decode("utf-8", "replace").strip()
    if result.verdict is Verdict.OK and said.isdigit():
        return "" if int(said) <= _MOST_MB else f"held {said} MB with a limit of {LIMITS.memory_mb}"
    return f"ended as {result.verdict} (exit code {result.exit_code}) {said}".rstrip()


def _way(name: str) -> Abuse:
    programs = ("hoarding", "hoarding_unseen") if name in UNSEEN else ("hoarding",)
    files = {path: content for one in programs for path, content in program(one).items()}

    async def attempt(sandbox: Sandbox) -> str:
        argv = ("python", "-m", module(programs[-1]), name)
        return _judge(await sandbox.run(SandboxRequest(argv=argv, files=files, limits=LIMITS)))

    return Abuse(f"hoard-{name}", "ends as oom, or holds no more than a limit and a quarter", attempt)


HOARDING = tuple(map(_way, (*WAYS, *UNSEEN)))
