"""Packages without a wheel: their source is fetched with a network, and nothing of it runs there."""

from __future__ import annotations

import asyncio
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import EnvironmentFailed, InvalidInput
from sandbox_runner.environments.interpreters import Interpreter
from sandbox_runner.environments.needs.python_needs import python_needs
from sandbox_runner.environments.steps import FOLDER_HELPS, run_outside

SOURCES: Final = "sources"
WHEELS: Final = "wheels"
"""Folders of what was fetched: sources, and what was built of them."""
_READ: Final = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})
_LARGEST: Final = 1_000_000
_MOST_MEMBERS: Final = 100_000
_MOST_UNPACKED: Final = 1_000_000_000
"""Bytes of an archive behind which nothing is looked for."""

# Run by the interpreter with its pip, whose settings say where packages come from. `pip download` would run
# the source to learn what it is. Exit code 3: there is a wheel; 4: there is none, nor a source.
_SCRIPT: Final = """
import hashlib, os, sys
pip, wanted, folder = sys.argv[1:]
sys.path.insert(0, pip)
from pip._internal.commands.index import IndexCommand
from pip._vendor.packaging.requirements import Requirement
class Source(IndexCommand):
    def run(self, options, args):
        asked = Requirement(wanted)
        with self._build_session(options) as session:
            finder = self._build_package_finder(options=options, session=session)
            found = [
                (one.version, one.link) for one in finder.find_all_candidates(asked.name)
                if asked.specifier.contains(str(one.version)) and not one.link.is_yanked
            ]
            if any(link.is_wheel for _, link in found):
                return 3
            sources = [(version, link) for version, link in found if link.filename.endswith(".tar.gz")]
            if not sources:
                return 4
            _, link = max(sources, key=lambda one: one[0])
            response = session.get(link.url_without_fragment, headers={"Accept-Encoding": "identity"})
            response.raise_for_status()
            if link.hash_name and hashlib.new(link.hash_name, response.content).hexdigest() != link.hash:
                print("the content of", link.filename, "is another than its index says")
                return 1
            with open(os.path.join(folder, os.path.basename(link.filename)), "xb") as file:
                file.write(response.content)
        return 0
sys.exit(Source("index", "").main(["--no-input", "--disable-pip-version-check"]))
"""


@dataclass(frozen=True, slots=True)
class FetchedSource:
    """The source of a package, in an archive."""

    file: Path
    needs: tuple[str, ...]
    """What its build needs, as lines for pip."""


@dataclass(frozen=True, slots=True)
class SourceFetching:
    """How they are fetched.

    pip: the file of pip. variables: all that it sees.
    """

    interpreter: Interpreter
    pip: Path
    variables: Mapping[str, str]
    seconds: float

    async def fetch(self, requirement: str, folder: Path) -> FetchedSource | None:
        """Fetch the newest that fits into a folder; None where there is a wheel, or no source.

        Raises EnvironmentFailed.
        """
        before = await asyncio.to_thread(_files, folder)
        argv = (str(self.interpreter.path), "-I", "-c", _SCRIPT, str(self.pip), requirement, str(folder))
        code, _ = await run_outside(argv, folder=folder, variables=self.variables, seconds=self.seconds)
        new = await asyncio.to_thread(_files, folder) - before
        if code or len(new) != 1:
            return None
        return await asyncio.to_thread(_opened, new.pop())


def _files(folder: Path) -> set[Path]:
    folder.mkdir(exist_ok=True)
    return set(folder.iterdir())


def _opened(file: Path) -> FetchedSource:
    """Read what its build needs."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            needs = python_needs(dict(_settings(tar)))
    except (tarfile.TarError, zlib.error, OSError, EOFError, InvalidInput) as error:
        raise EnvironmentFailed(
            f"environment, step fetch: {file.name} cannot be read: {error}; {FOLDER_HELPS[3:]}"
        ) from None
    return FetchedSource(file, (needs.build if needs else None) or ())


def _settings(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for count, member in enumerate(tar):
        if count >= _MOST_MEMBERS or tar.offset > _MOST_UNPACKED:
            return
        top, _, path = member.name.partition("/")
        if top and path in _READ and member.isreg() and member.size <= _LARGEST:
            content = tar.extractfile(member)
            assert content is not None
            yield path, content.read()
