"""A folder of the user's own as an environment: a virtual environment, or the modules of Node.js."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.base.processes.folder_cache import FolderCache
from contracts.ports.environments import CommitReader, PreparedEnvironment
from contracts.ports.workspace import Environment
from sandbox_runner.environments import places
from sandbox_runner.environments.built import MODULES
from sandbox_runner.environments.owning import link_modules
from sandbox_runner.environments.yours.editable import editable_paths, path_in_repository
from sandbox_runner.environments.yours.virtualenv import (
    CONFIG,
    VirtualEnvironment,
    adapted_scripts,
    examine_virtualenv,
)

_LOCK: Final = ".package-lock.json"
_LARGEST_LOCK: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class UserFolder:
    """A folder that a user named, for one tree."""

    folder: Path
    tracked: Collection[str]
    """The paths of the tree."""
    cache: FolderCache

    @contextmanager
    def using(self, say: Callable[[str], None]) -> Iterator[PreparedEnvironment]:
        """Check the folder and use it as it is. Blocking. Raises InvalidInput with what is wrong with it."""
        folder = self.folder.expanduser().absolute()
        self._check(folder)
        if (folder / CONFIG).is_file():
            with self._virtualenv(examine_virtualenv(folder), say) as prepared:
                yield prepared
        else:
            with self._modules(folder if folder.name == MODULES else folder / MODULES, say) as prepared:
                yield prepared

    @contextmanager
    def _virtualenv(
        self, venv: VirtualEnvironment, say: Callable[[str], None]
    ) -> Iterator[PreparedEnvironment]:
        found = venv.distributions
        editable = editable_paths(venv.site_packages, self.tracked)
        for path in editable.outside:
            say(f"{path} is installed editable from outside of the repository: programs do not see it")
        if venv.system_packages:
            say(f"{venv.folder} also uses the system's packages: programs do not see those")
        if "pytest" not in found:
            say(f"{venv.folder} has no pytest: the sandbox's own is used")
        scripts = adapted_scripts(venv)
        name = f"scripts-{_digest(scripts)}"
        with self.cache.using(name, lambda place: _write_scripts(scripts, place)) as own:
            variables = places.variables(
                python=True, scripts=True, has_pytest="pytest" in found, import_from=editable.inside
            )
            mounts = {**venv.mounts, places.VENV: str(venv.folder), places.SCRIPTS: str(own.content)}
            about = [venv.python, sorted(found.items()), editable.inside, _records(venv.site_packages)]
            yield PreparedEnvironment(
                Environment(mounts, variables, host_programs=places.PROGRAMS),
                f"{venv.folder}, Python {venv.python.version}, {_counted(len(found))}",
                _digest(about),
            )

    @contextmanager
    def _modules(self, folder: Path, say: Callable[[str], None]) -> Iterator[PreparedEnvironment]:
        packages = sorted(_packages(folder))
        linked = [path.name for path in packages if path.is_symlink()]
        if linked:
            say(f"{', '.join(linked[:5])} in {folder} are links to elsewhere: programs do not see those")
        with self.cache.using("modules-link", link_modules) as own:
            yield PreparedEnvironment(
                Environment(
                    {places.NODE_MODULES: str(folder)},
                    places.variables(modules=True),
                    beside=str(own.content),
                ),
                f"{folder}, {_counted(len(packages))}",
                _digest([[path.name for path in packages], _lock(folder)]),
            )

    def _check(self, folder: Path) -> None:
        def refuse(why: str) -> InvalidInput:
            named = "name a virtual environment (python3 -m venv DIR) or a folder with node_modules"
            return InvalidInput(f"environment {str(folder)!r}: {why}; {named}")

        if not folder.exists():
            raise refuse("does not exist")
        if not folder.is_dir():
            raise refuse("is no folder")
        if (folder / "conda-meta").is_dir():
            raise refuse("is made by conda, which is not supported")
        modules = folder if folder.name == MODULES else folder / MODULES
        if not (folder / CONFIG).is_file() and not modules.is_dir():
            raise refuse(f"has neither {CONFIG} nor {MODULES}")
        self._check_untracked(folder if (folder / CONFIG).is_file() else modules)

    def _check_untracked(self, folder: Path) -> None:
        inside = path_in_repository(folder)
        if inside and any(path.startswith(f"{inside}/") for path in self.tracked):
            raise InvalidInput(
                f"environment {str(folder)!r}: is part of the repository's commits, so agents would change "
                f"one copy and use the other; take it out with: git rm -r --cached {inside}"
            )


class FolderEnvironments:
    """The port, for a folder that a user named."""

    def __init__(self, folder: Path, files: CommitReader, cache: FolderCache) -> None:
        self._folder, self._files, self._cache = folder, files, cache

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments."""
        tracked = {file.path for file in await self._files.list_files(commit)}
        use = UserFolder(self._folder, tracked, self._cache).using(say)
        prepared = await asyncio.to_thread(use.__enter__)
        try:
            yield prepared
        finally:
            await asyncio.to_thread(use.__exit__, None, None, None)


def _write_scripts(scripts: dict[str, str], place: Path) -> None:
    for name, text in scripts.items():
        (place / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        (place / name).chmod(0o755)


def _packages(modules: Path) -> Iterator[Path]:
    for path in modules.iterdir():
        if path.name.startswith("@") and path.is_dir():
            yield from path.iterdir()
        elif not path.name.startswith("."):
            yield path


def _lock(modules: Path) -> str:
    """The digest of what npm wrote of the modules; "" where something else made them."""
    file = modules / _LOCK
    if not file.is_file() or file.stat().st_size > _LARGEST_LOCK:
        return ""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _records(site_packages: Path) -> dict[str, str]:
    """Digests of what installers recorded of each distribution, which names every file with its own."""
    return {
        file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(site_packages.glob("*.dist-info/RECORD"))
    }


def _digest(about: object) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=os.fspath).encode()).hexdigest()


def _counted(count: int) -> str:
    return f"{count} package{'' if count == 1 else 's'}"
