"""The sandbox for callers without asyncio."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from contracts.base.errors import InvalidInput
from contracts.base.processes.loop_thread import LoopThread
from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult
from multi_agent.bootstrap import choose_sandbox, sandbox_settings
from multi_agent.facade.files import NamedFiles, read_files
from multi_agent.facade.options import settings_from
from sandbox_runner import SandboxSettings
from sandbox_runner.choose import FirstUseSandbox


@dataclass(slots=True)
class SandboxHandle:
    """A set of files with limits: what `execute` starts from, and what it leaves behind."""

    container_id: str
    limits: SandboxLimits
    files: dict[str, bytes] = field(default_factory=dict)


class SandboxRunner:
    """Runs programs that nobody trusts. Also a context manager; may be used from any thread.

    Every `execute` is a fresh sandbox over the container's files: processes never live from one to the next.
    Methods mean the newest container unless one is named.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._settings = settings
        self._newest: SandboxHandle | None = None
        self._sandbox = FirstUseSandbox(self._choose)
        self._numbers = itertools.count(1)
        self._thread = LoopThread()

    def create_container(
        self, files: NamedFiles | None = None, limits: SandboxLimits | None = None
    ) -> SandboxHandle:
        """A container with `files`, as `copy_files` takes them. Nothing runs yet."""
        made = SandboxHandle(f"sandbox-{next(self._numbers)}", limits or SandboxLimits())
        if files is not None:
            made.files.update(read_files(files))
        self._newest = made
        return made

    def copy_files(self, files: NamedFiles, *, container: SandboxHandle | None = None) -> None:
        """Add files: path -> content, or paths of files, or a folder. Raises InvalidInput."""
        self._container(container).files.update(read_files(files))

    def execute(
        self,
        cmd: str | Sequence[str],
        *,
        timeout: float | None = None,
        container: SandboxHandle | None = None,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
    ) -> SandboxResult:
        """Run a command, without a shell, over the container's files.

        timeout: seconds, those of the container's limits by default; a program that takes longer is a result.
        collect: paths, or folders ending in `/`, that come back into the container.
        Raises InvalidInput, SandboxUnavailable, UnsafePath.
        """
        chosen = self._container(container)
        request = SandboxRequest(
            argv=_argv(cmd),
            files=dict(chosen.files),
            stdin=stdin,
            collect=tuple(collect),
            limits=_limits(chosen.limits, timeout),
            labels={"multi-agent.container": chosen.container_id},
        )
        result = self._thread.run(self._sandbox.run(request))
        chosen.files.update(result.files)
        return result

    async def _choose(self) -> Sandbox:
        return await choose_sandbox(self._settings or sandbox_settings(settings_from({})))

    def _container(self, named: SandboxHandle | None) -> SandboxHandle:
        chosen = named or self._newest
        if chosen is None:
            raise InvalidInput("there is no container; call create_container() first")
        return chosen

    def cleanup(self) -> None:
        """Forget the containers, release the engine's connection and the thread. Again is a no-op."""
        self._newest = None
        self._thread.run(self._sandbox.close())
        self._sandbox = FirstUseSandbox(self._choose)
        self._thread.close()

    def __enter__(self) -> SandboxRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()


def _argv(cmd: str | Sequence[str]) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(cmd) if isinstance(cmd, str) else cmd)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"cmd {cmd!r} is no command line: {error}") from None
    if not argv or not all(isinstance(word, str) for word in argv):
        raise InvalidInput(f"cmd {cmd!r} names no program; give a command line, or a list of words")
    return argv


def _limits(limits: SandboxLimits, timeout: float | None) -> SandboxLimits:
    if timeout is None:
        return limits
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidInput(f"timeout {timeout!r} is no time; give seconds above 0")
    return replace(limits, wall_seconds=float(timeout))
