"""Opens workspaces in the sandboxes of one backend."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

from contracts.base.errors import InvalidInput, LimitExceeded, SandboxUnavailable
from contracts.base.paths import check_path, check_tree
from contracts.base.processes.shortage import shortage_as
from contracts.ports.sandbox import Isolation, SandboxLimits
from contracts.ports.trees import Checkout, TreeBase, TreeFile, TreeStore
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    Environment,
    Placement,
    Preparation,
    WorkspaceLimits,
)
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.payload import ENVIRONMENT, MEGABYTE, WORK, GuestSetup, block, guest_limits
from sandbox_runner.engine.pool import WarmSandbox
from sandbox_runner.engine.tmpfs import work_options
from sandbox_runner.workspace.beside import start_services, try_programs
from sandbox_runner.workspace.private import privacy_of
from sandbox_runner.workspace.session import GuestSession
from sandbox_runner.workspace.workspace import SandboxWorkspace, WorkspaceParts

_LAYER: Final = "/mnt/layer"
WRITTEN: Final = "/mnt/written"
"""Where process 1 mounts what is written, until the overlay is there."""
_OURS: Final = (WORK, "/mnt", "/tmp", "/proc", "/dev", "/sys")  # noqa: S108 - inside


class WorkspaceBackend(Protocol):
    """A backend that can start a sandbox for a workspace."""

    @property
    def backend(self) -> str: ...

    @property
    def isolation(self) -> Isolation: ...

    def workspace_setup(self, limits: SandboxLimits, *, services: bool) -> GuestSetup:
        """What the guest sets up. `services`: whether there are any, which need more than programs."""

    async def start_workspace(
        self, mounts: Mapping[str, str], limits: SandboxLimits, work: str, copied: int, /
    ) -> WarmSandbox:
        """Start a sandbox in which these folders are read-only: path inside -> folder of this machine.

        work: mount options of a work folder with room for a copy of the tree.
        copied: the bytes that such a copy takes.

        Raises SandboxUnavailable.
        """


class SandboxWorkspaces:
    """The port, for one backend.

    overlay: whether an overlay is tried; without it every tree is copied.
    """

    def __init__(self, backend: WorkspaceBackend, trees: TreeStore, *, overlay: bool = True) -> None:
        self._backend = backend
        self._trees = trees
        self._overlay = overlay

    async def offered(self) -> bool:
        """See Workspaces."""
        return True

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
        *,
        brief: bool = False,
    ) -> SandboxWorkspace:
        """See Workspaces; there is room for as many as anybody opens."""
        _check(environment, limits)
        check_preparation(preparation, limits)
        bounds = limits.of_command()
        setup = self._backend.workspace_setup(bounds, services=bool(environment.services))
        async with AsyncExitStack() as holds:
            checkout = await holds.enter_async_context(
                self._trees.checkout(base, most_files=limits.file_count)
            )
            privacy = await asyncio.to_thread(privacy_of, environment.private)
            with shortage_as(SandboxUnavailable):
                sandbox, session, placement = await self._start(
                    checkout, environment, preparation, bounds, setup
                )
            parts = WorkspaceParts(
                backend=self._backend.backend,
                isolation=self._backend.isolation,
                placement=placement,
                sandbox=sandbox,
                session=session,
                setup=setup,
                limits=limits,
                trees=self._trees,
                checkout=checkout,
                privacy=privacy,
                holds=holds.pop_all(),
            )
            return SandboxWorkspace(parts)

    async def _start(
        self,
        checkout: Checkout,
        environment: Environment,
        preparation: Preparation,
        limits: SandboxLimits,
        setup: GuestSetup,
    ) -> tuple[WarmSandbox, GuestSession, Placement]:
        """Start a sandbox and let it place the tree. It is ended when that fails."""
        work = work_options(
            limits.disk_mb * MEGABYTE + checkout.size, limits.file_count + checkout.file_count
        )
        folders = [*map(str, checkout.layers), *_among(environment)]
        layers = {f"{_LAYER}{number}": path for number, path in enumerate(folders)}
        mounts = {**layers, **environment.mounts}
        sandbox = await self._backend.start_workspace(mounts, limits, work, checkout.size)
        session = GuestSession(sandbox, nonce := secrets.token_hex(16))
        job = {
            "argv": (WORK,),
            "env": {**ENVIRONMENT, **setup.environment, **environment.variables},
            "workdir": WORK,
            "nonce": nonce,
            "isolation": setup.isolation,
            "workspace": {
                "layers": list(layers),
                "tree": list(layers)[len(checkout.layers) - 1],
                **self._plan(limits, work),
                **_prepared(preparation),
            },
        }
        contents = b"".join(file.content for file in preparation.changes.files.values())
        try:
            blocks = block(json.dumps(job).encode()) + block(contents)
            placement = Placement(await session.begin(blocks))
            # Not before the tree is placed: a copy of it is not what programs have written.
            await sandbox.confine(limits)
            bounds = guest_limits(limits, setup)
            if self._backend.isolation is Isolation.CONTAINER:
                await try_programs(session, environment.host_programs, bounds)
            if environment.services:
                await start_services(session, environment.services, bounds)
        except BaseException:
            session.end()
            await run_to_completion(sandbox.end())
            raise
        return sandbox, session, placement

    def _plan(self, limits: SandboxLimits, work: str) -> dict[str, Any]:
        return {
            "workdir": WORK,
            "written": WRITTEN,
            "overlay": self._overlay,
            "options": work_options(limits.disk_mb * MEGABYTE, limits.file_count),
            "copy_options": work,
        }


def _prepared(preparation: Preparation) -> dict[str, Any]:
    files = preparation.changes.files
    return {
        "deleted": preparation.changes.deleted,
        "files": [(path, len(file.content), _mode(file)) for path, file in files.items()],
        "read_only": preparation.read_only,
    }


def _mode(file: TreeFile) -> int | None:
    return None if file.is_link else 0o755 if file.executable else 0o644


def check_preparation(preparation: Preparation, limits: WorkspaceLimits) -> None:
    """Raise LimitExceeded, or UnsafePath, for what may not be done to a tree."""
    changes = preparation.changes
    check_tree(changes.files)
    for path in (*changes.deleted, *preparation.read_only):
        check_path(path)
    size = sum(len(file.content) for file in changes.files.values())
    count = max(len(changes.files), len(changes.deleted))
    for name, has, most in (
        ("bytes", size, limits.changed_bytes),
        ("files", count, limits.changed_files),
    ):
        if has > most:
            raise LimitExceeded(
                f"preparation.changes: {has} {name}, {most} are the most; change less, or allow more"
            )


def _among(environment: Environment) -> list[str]:
    """Folders whose files lie among the tree's own."""
    private = environment.private.folder if environment.private else ""
    return [folder for folder in (private, environment.beside) if folder]


def _check(environment: Environment, limits: WorkspaceLimits) -> None:
    for name in limits.__slots__:
        if getattr(limits, name) <= 0:
            raise InvalidInput(f"limits.{name}: must be above 0, is {getattr(limits, name)}")
    for target in environment.mounts:
        own = next((path for path in _OURS if target == path or target.startswith(f"{path}/")), None)
        if own or not target.startswith("/") or ".." in target.split("/") or "\0" in target:
            raise InvalidInput(
                f"environment.mounts {target!r}: must be an absolute path outside of {', '.join(_OURS)}"
            )
    folders = (*environment.mounts.values(), *_among(environment))
    if missing := [source for source in folders if not Path(source).is_dir()]:
        raise InvalidInput(f"environment: {missing[0]!r} is no folder of this machine")
    if bad := next((name for name in environment.variables if not name or "=" in name or "\0" in name), None):
        raise InvalidInput(f"environment.variables: {bad!r} is no name of a variable")
