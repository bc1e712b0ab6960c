"""What a repository says that its JavaScript needs: package.json with its lock. Nothing is executed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.base.errors import InvalidInput

PROJECT: Final = "package.json"
LOCK: Final = "package-lock.json"
PUBLIC: Final = "https://registry.npmjs.org/"
"""What stands in a lock for the user's registry."""
_OLDEST: Final = 2
OTHER_LOCKS: Final = {"yarn.lock": "Yarn", "pnpm-lock.yaml": "pnpm"}
"""Those of other programs, which are not read."""
_KINDS: Final = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_ADDRESS: Final = re.compile(r"(?!(?:npm|file|link|workspace):)(?:[\w+.-]+:|git@|[\w.-]+/[\w.-]+)")
"""How a version begins that is an address; that of a repository may be USER/NAME alone."""
_TAG: Final = re.compile(r"(?![vx]?[\d.x*]*$)[A-Za-z][\w.-]*")


@dataclass(frozen=True, slots=True)
class NodeNeeds:
    """What npm is asked for."""

    files: Mapping[str, str]
    """Path -> text of what it reads: each package.json, and the lock without the addresses in it."""
    packages: Mapping[str, str]
    """Path in node_modules with its version -> what it is known by."""
    tagged: frozenset[str] = frozenset()
    """Names that are asked for by a tag, which npm takes from the address that the lock has."""
    left_out: tuple[str, ...] = ()
    """What is asked for by an address."""

    @property
    def key(self) -> str:
        """64 hex digits: the same question."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


def node_needs(files: Mapping[str, bytes]) -> NodeNeeds | None:
    """Read what a tree needs; None without a lock. Raises InvalidInput for a lock that cannot be used.

    files: path -> content, of the lock and of every package.json.
    """
    if PROJECT not in files or LOCK not in files:
        return None
    lock = _object(files, LOCK)
    if lock.get("lockfileVersion") == 1:
        return _of_old(lock, files)
    if not isinstance(lock.get("packages"), dict) or lock.get("lockfileVersion", 0) < _OLDEST:
        raise _unusable(f"is of version {lock.get('lockfileVersion')}, which is not known here")
    packages = {}
    local = [PROJECT]
    left_out = dict(_without_addresses(lock["packages"].values()))
    lock["packages"] = _others(lock["packages"], left_out)
    tagged = set(_asked_by_tag(lock["packages"].values()))
    for path, about in lock["packages"].items():
        if not isinstance(about, dict):
            raise _unusable(f"package {path[:100]!r} is no object")
        if "node_modules/" not in f"{path}/":
            local += [f"{path}/{PROJECT}"] if path else []
        elif not about.get("link") and not about.get("inBundle"):
            packages[f"{path}@{about.get('version')}"] = _known_by(path, about)
            # npm would ask any address that stands here; by name and version it asks the user's registry.
            about.pop("resolved", None)
            name = str(about.get("name", path.rpartition("node_modules/")[2]))
            if name in tagged:
                # What is asked for by a tag is locked only with an address. It is that of the user's later.
                file = f"{name.rpartition('/')[2]}-{about.get('version')}.tgz"
                about["resolved"] = f"{PUBLIC}{name}/-/{file}"
    lock.pop("dependencies", None)
    projects = {path: _object(files, path) for path in local if path in files}
    left_out |= dict(_without_addresses(projects.values()))
    texts = {path: json.dumps(about) for path, about in projects.items()}
    return NodeNeeds(
        {**texts, LOCK: json.dumps(lock)}, packages, frozenset(tagged), tuple(map(" ".join, left_out.items()))
    )


def _of_old(lock: dict[str, Any], files: Mapping[str, bytes]) -> NodeNeeds:
    """Those of a lock of npm 6 and before, which tells less; npm asks the registry for the rest."""
    packages = dict(_old_packages(lock, ""))
    project = _object(files, PROJECT)
    left_out = dict(_without_addresses([project]))
    for name in left_out:
        lock.get("dependencies", {}).pop(name, None)
    kept = {path: known for path, known in packages.items() if not _is_below(path, left_out)}
    if wrong := next((path for path, known in kept.items() if not known), None):
        raise _unusable(f"package {wrong[:100]!r} has no integrity, and only registries are asked")
    return NodeNeeds(
        {PROJECT: json.dumps(project), LOCK: json.dumps(lock)},
        kept,
        left_out=tuple(map(" ".join, left_out.items())),
    )


def _is_below(path: str, names: Iterable[str]) -> bool:
    return path.startswith(tuple(f"node_modules/{name}{end}" for name in names for end in "@/"))


def _old_packages(about: dict[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Strike the addresses of an old lock, and yield path with version -> what it is known by."""
    found = about.get("dependencies")
    for name, entry in found.items() if isinstance(found, dict) else ():
        if not isinstance(entry, dict):
            raise _unusable(f"package {name[:100]!r} is no object")
        path = f"{above}node_modules/{name}"
        entry.pop("resolved", None)
        if not entry.get("bundled"):
            yield f"{path}@{entry.get('version')}", str(entry.get("integrity") or "")
        yield from _old_packages(entry, f"{path}/")


def _without_addresses(packages: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Strike what is asked for by an address, and yield it: npm would ask that address."""
    for about in packages:
        for kind in _KINDS if isinstance(about, dict) else ():
            asked = about.get(kind)
            for name, version in list(asked.items()) if isinstance(asked, dict) else ():
                if _ADDRESS.match(str(version)):
                    del asked[name]
                    yield name, str(version)


def _others(packages: dict[str, Any], left_out: Mapping[str, str]) -> dict[str, Any]:
    """The packages of a lock, without those that are left out and what lies in these."""
    gone = [path for path, about in packages.items() if _is_from(about, path, left_out)]
    return {
        path: about
        for path, about in packages.items()
        if path not in gone and not path.startswith(tuple(f"{one}/" for one in gone))
    }


def _is_from(about: Any, path: str, left_out: Mapping[str, str]) -> bool:
    asked = left_out.get(path.rpartition("node_modules/")[2])
    resolved = str(about.get("resolved", "")) if isinstance(about, dict) else ""
    return asked is not None and (resolved == asked or resolved.startswith("git+"))


def _asked_by_tag(packages: Iterable[Any]) -> Iterator[str]:
    """Yield the names that are asked for by a tag, such as `latest`, and not by versions."""
    for about in packages:
        for kind in _KINDS if isinstance(about, dict) else ():
            asked = about.get(kind)
            for name, version in asked.items() if isinstance(asked, dict) else ():
                if _TAG.fullmatch(str(version)):
                    yield name


def _known_by(path: str, about: dict[str, Any]) -> str:
    resolved, integrity = str(about.get("resolved", "https://")), about.get("integrity")
    if not integrity or not resolved.startswith(("https://", "http://")):
        place = about.get("resolved", "an unknown place")
        raise _unusable(
            f"package {path[:100]!r} comes from {str(place)[:100]!r}, and only registries are asked"
        )
    return str(integrity)


def _object(files: Mapping[str, bytes], path: str) -> dict[str, Any]:
    try:
        found = json.loads(files[path].decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} of the repository cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} of the repository cannot be read: it holds no object")
    return found


def _unusable(why: str) -> InvalidInput:
    return InvalidInput(
        f"{LOCK} of the repository: {why}; mend it, or name a folder of yours with --environment DIR"
    )
