"""Editable installs: what of a virtual environment lies in a work tree, and where that is in a task's tree.

Two forms are in use: `.pth` files with folders, and a module `__editable___NAME_finder.py` whose MAPPING has
the path of each package. In a sandbox neither path exists, so both find nothing; the same folders of the
task's own tree are imported from instead. Nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

_FINDERS = "__editable__*finder.py"
_MOST_BYTES = 1_000_000


class EditablePaths(NamedTuple):
    """Where editable installs lead."""

    inside: tuple[str, ...]
    """Folders of the tree, relative to its root; "" for the root itself."""
    outside: tuple[str, ...]
    """Paths of this machine, which programs in a sandbox do not see."""


def editable_paths(site_packages: Path, tracked: Collection[str]) -> EditablePaths:
    """Read where the editable installs in a folder of packages lead.

    tracked: paths of the task's tree. A work tree of the same repository is known by the modules it has.
    """
    own = site_packages.resolve()
    inside: dict[str, None] = {}
    outside: dict[str, None] = {}
    for folder in (*_pth_folders(site_packages), *_mapped_folders(site_packages)):
        if folder.resolve().is_relative_to(own):
            continue
        relative = path_in_repository(folder)
        if relative is not None and _shares_module(folder, relative, tracked):
            inside[relative] = None
        else:
            outside[str(folder)] = None
    return EditablePaths(tuple(inside), tuple(outside))


def path_in_repository(folder: Path) -> str | None:
    """Where a folder lies in the work tree that it is part of, "" for its root; None for none."""
    real = folder.resolve()
    for root in (real, *real.parents):
        if (root / ".git").exists():
            relative = real.relative_to(root).as_posix()
            return "" if relative == "." else relative
    return None


def _shares_module(folder: Path, relative: str, tracked: Collection[str]) -> bool:
    prefix = f"{relative}/" if relative else ""
    names = {path.removeprefix(prefix) for path in tracked if path.startswith(prefix)}
    modules = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    return any(path.relative_to(folder).as_posix() in names for path in modules)


def _pth_folders(site_packages: Path) -> Iterator[Path]:
    for file in sorted(site_packages.glob("*.pth")):
        for line in _text(file).splitlines():
            # A line that begins with `import` is code; site runs it inside the sandbox as it would outside.
            if line.strip() and not line.startswith(("#", "import ", "import\t")):
                yield site_packages / line.strip()


def _mapped_folders(site_packages: Path) -> Iterator[Path]:
    for file in sorted(site_packages.glob(_FINDERS)):
        for name, path in _mapping(_text(file)).items():
            if Path(path).stem == name.rpartition(".")[2]:
                yield Path(path).parent


def _mapping(source: str) -> dict[str, str]:
    """The literal that a finder assigns to MAPPING; empty where it is none."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    for statement in statements:
        match statement:
            case ast.AnnAssign(target=ast.Name(id="MAPPING"), value=ast.Dict() as value):
                pass
            case ast.Assign(targets=[ast.Name(id="MAPPING")], value=ast.Dict() as value):
                pass
            case _:
                continue
        pairs = zip(value.keys, value.values, strict=True)
        return {
            str(key.value): str(path.value)
            for key, path in pairs
            if isinstance(key, ast.Constant) and isinstance(path, ast.Constant)
        }
    return {}


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES).decode("utf-8", "replace")
