"""The shell commands in the documentation, and whether they can be typed as they stand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path

import click

from multi_agent.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md")

_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:multi-agent|make|python -m) [^`\n]+)`")
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")
_SEPARATORS = frozenset({"|", "||", "&&", ";", "&"})
# Commands in front of another one.
_PREFIXES = frozenset({"exec", "sudo", "env", "time"})


@dataclass(frozen=True)
class Command:
    """One command, without redirections and variables in front of it; `where` is the document."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def documented_commands(folder: Path = ROOT) -> list[Command]:
    """Every command in a ```sh block, and every `multi-agent`, `make` and `python -m` between backticks."""
    found = []
    for path in sorted({*(folder / name for name in DOCUMENTS), *folder.glob("docs/**/*.md")}):
        if path.exists():
            text = path.read_text(encoding="utf-8")
            found += [Command(path.name, words) for words in commands_of(text)]
    return found


def commands_of(text: str) -> Iterator[tuple[str, ...]]:
    """The commands of a Markdown text."""
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _split(line.removeprefix("$ "))
    for code in _INLINE.findall(_BLOCK.sub("", text)):
        yield from _split(code.removesuffix("...").rstrip())


def _split(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _SEPARATORS:
            if command := _stripped(words):
                yield command
            words = []
        else:
            words.append(word)


def _stripped(words: list[str]) -> tuple[str, ...]:
    for index, word in enumerate(words):
        if word.startswith((">", "<")):
            words = words[:index]
            break
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in _PREFIXES):
        words = words[1:]
    return tuple(words)


def complaint(words: tuple[str, ...], folder: Path = ROOT) -> str | None:
    """Why the command cannot work, None when nothing is known against it. It is not run."""
    program = words[0].removeprefix(".venv/bin/").removeprefix("./")
    if program == "make":
        return _make(words[1:], folder)
    if program == "multi-agent":
        return click_complaint(cli, list(words[1:]))
    if program in {"python", "python3"} and words[1:2] == ("-m",):
        return _module(words[2], list(words[3:]))
    return None


def make_targets(folder: Path = ROOT) -> set[str]:
    """The targets of the Makefile."""
    return set(_TARGET.findall((folder / "Makefile").read_text(encoding="utf-8")))


def _make(words: tuple[str, ...], folder: Path) -> str | None:
    asked = {word for word in words if not _ASSIGNMENT.match(word) and not word.startswith("-")}
    unknown = asked - make_targets(folder)
    return f"the Makefile has no target {', '.join(sorted(unknown))}" if unknown else None


def _module(name: str, words: list[str]) -> str | None:
    if util.find_spec(name) is None:
        return f"there is no module {name}"
    main = getattr(import_module(name), "main", None) if name.split(".", maxsplit=1)[0] in _OURS else None
    return click_complaint(main, words) if isinstance(main, click.Command) else None


_OURS = frozenset({"contracts", "planner_service", "multi_agent", "sandbox_runner", "orchestrator", "agents"})


def click_complaint(command: click.Command, words: list[str]) -> str | None:
    """What click says against these words, without running the command or requiring that files exist."""
    context = click.Context(command, info_name=command.name, resilient_parsing=False)
    while isinstance(command, click.Group):
        if not words or words[0] in {"--help", "-h", "--version"}:
            return None
        found = command.get_command(context, words[0])
        if found is None:
            return f"there is no command {words[0]}"
        context = click.Context(found, parent=context, info_name=words[0])
        command, words = found, words[1:]
    if words and words[-1] in {"--help", "-h"}:
        return None
    try:
        values, rest, _ = command.make_parser(context).parse_args(list(words))
        for parameter in command.params:
            parameter.handle_parse_result(context, values, [])
    except click.ClickException as error:
        return error.format_message()
    return f"too many words: {' '.join(rest)}" if rest else None
