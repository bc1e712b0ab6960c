"""Fetches the modules of Node.js with a network, by npm, which runs no script of a package."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contracts.base.errors import InvalidInput
from sandbox_runner.engine.payload import WORK
from sandbox_runner.environments.built import MODULES
from sandbox_runner.environments.indexes.access import IndexAccess, check_indexes, npm_access
from sandbox_runner.environments.needs.node_needs import LOCK, PUBLIC, NodeNeeds
from sandbox_runner.environments.steps import FOLDER_HELPS, failed, run_outside

_LINES: Final = 4
_OPTIONS: Final = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")


async def fetch_modules(
    wanted: NodeNeeds, folder: Path, *, variables: Mapping[str, str], search_path: str, seconds: float
) -> None:
    """Fetch into `node_modules` in a folder. Raises EnvironmentFailed, InvalidInput without npm."""
    npm = shutil.which("npm", path=search_path)
    if npm is None:
        raise InvalidInput(f"the repository needs npm, which is not on PATH; install Node.js, {FOLDER_HELPS}")
    async with npm_access(npm, folder, variables) as access:
        _write(wanted, folder, access)
        code, output = await run_outside(
            (npm, "ci", *_OPTIONS), folder=folder, variables=access.variables, seconds=seconds
        )
    if code is None:
        change = "set MULTI_AGENT_ENVIRONMENT_SECONDS higher, or look at npm's settings of the registry"
        raise failed("fetch", f"npm did not end within {seconds:.0f} s", output, change)
    if code:
        check_indexes(access, "npm")
        output = access.told(output)
        raise failed("fetch", f"npm ended with {code}", _reason(output), f"mend what it says, {FOLDER_HELPS}")
    _tidy(folder)


def _reason(output: bytes) -> bytes:
    """The first lines that npm printed; how it is used, and where its log is, come last."""
    lines = [line.removeprefix(b"npm error").strip() for line in output.splitlines()]
    return b"\n".join([line for line in lines if line][:_LINES])


def _write(wanted: NodeNeeds, folder: Path, access: IndexAccess) -> None:
    for path, text in wanted.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(_with_registries(text, wanted, access) if path == LOCK else text, "utf-8")


def _with_registries(lock: str, wanted: NodeNeeds, access: IndexAccess) -> str:
    """Put the registries in that have what is asked for by a tag."""
    for name in wanted.tagged:
        scope = f"{name.partition('/')[0]}:registry"
        registry = access.registries.get(scope, access.registries["registry"])
        lock = lock.replace(f'"{PUBLIC}{name}/', f'"{registry}{name}/')
    return lock


def _tidy(folder: Path) -> None:
    """Keep the modules alone; a link to a package of the repository leads to the task's tree."""
    modules = folder / MODULES
    modules.mkdir(exist_ok=True)
    for link in [path for path in (*modules.iterdir(), *modules.glob("@*/*")) if path.is_symlink()]:
        target = os.path.normpath(link.parent / link.readlink())
        if not Path(target).is_relative_to(modules):
            link.unlink()
            link.symlink_to(Path(WORK, os.path.relpath(target, folder)))
    for entry in folder.iterdir():
        if entry != modules:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
