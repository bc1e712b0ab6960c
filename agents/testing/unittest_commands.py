"""Reads `python -m unittest` commands: pytest runs the same tests, and its exit code alone proves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from agents.testing.pytest_commands import PytestCommand
from contracts.base.errors import InvalidInput
from contracts.base.paths import covers

_STARTS: Final = (("python", "-m", "unittest"), ("python3", "-m", "unittest"))
_DROPPED: Final = frozenset(
    {"-v", "--verbose", "-q", "--quiet", "-f", "--failfast", "-c", "--catch", "-b", "--buffer", "--locals"}
)
_WITH_VALUE: Final = {
    "-s": "-s",
    "--start-directory": "-s",
    "-p": "-p",
    "--pattern": "-p",
    "-t": "-t",
    "--top-level-directory": "-t",
}
_PLACES: Final = ("-s", "-p", "-t")
"""What `discover` also takes without their names, in this order."""


def as_unittest(argv: tuple[str, ...], files: Mapping[str, bytes]) -> PytestCommand | None:
    """Read a unittest command as one of pytest; None when it is another program.

    Raises InvalidInput for an option that is not known, and when it names or finds no file of `files`.
    """
    if argv[:3] not in _STARTS:
        return None
    words = list(argv[3:])
    discovers = words[:1] == ["discover"]
    options, names = _read(words[1:] if discovers else words)
    if discovers or not names:
        options |= dict(zip((part for part in _PLACES if part not in options), names, strict=False))
        found = list(_discovered(files, options.get("-s", "."), options.get("-p", "test*.py")))
    else:
        found = [_target(name, files) for name in names]
    if not found:
        raise InvalidInput(f"acceptance test {' '.join(argv)!r} finds no test file")
    return PytestCommand(tuple(found), tuple(found), any("::" in target for target in found))


def _read(words: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        name, _, value = word.partition("=")
        if name in _WITH_VALUE:
            options[_WITH_VALUE[name]] = value or next(rest, "")
        elif not word.startswith("-"):
            names.append(word)
        elif word not in _DROPPED:
            raise InvalidInput(
                f"acceptance test option {word!r} cannot be used; unittest takes names, files, and "
                "discover with -s, -p and -t"
            )
    return options, names


def _discovered(files: Iterable[str], start: str, pattern: str) -> Iterator[str]:
    folder = start.removeprefix("./").rstrip("/")
    for path in sorted(files):
        inside = folder in {"", "."} or covers(f"{folder}/", path)
        if inside and fnmatchcase(path.rpartition("/")[2], pattern):
            yield path


def _target(name: str, files: Mapping[str, bytes]) -> str:
    """The file, or the test in it, that a dotted name or a path names."""
    path = name.removeprefix("./")
    if path in files:
        return path
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = f"{'/'.join(parts[:count])}.py"
        if module in files:
            return "::".join([module, *parts[count:]])
    raise InvalidInput(f"acceptance test {name!r}: there is no such test file")
