"""Commands that are printed work as they stand in the shell of whoever reads them."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from contracts.base.processes.command_lines import ANYWHERE, Advice
from multi_agent.cli import cli as program
from tests.e2e.conftest import Cli
from tests.project.test_house import PACKAGES, python_files, tree

SCRIPT = Path(sys.executable).with_name("multi-agent")
HOME = "contracts/base/processes/command_lines.py"
# Where the words are not printed as a command to paste.
NOT_PRINTED = {
    "multi_agent/chaos/load.py": "what made a recording",
    "multi_agent/gateway/records/as_recording.py": "what made a recording",
    "multi_agent/models/recordings/recorder.py": "what made a recording",
}


def commands(group: click.Group, *before: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands with the words that call them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, *before, name)
        else:
            yield (*before, name), found


def test_every_command_takes_the_folder_unless_it_needs_none() -> None:
    takes = {
        words: any(option.name == "data_dir" for option in found.params) for words, found in commands(program)
    }
    assert {words[0] for words, taken in takes.items() if not taken} == ANYWHERE
    assert {words[0] for words, taken in takes.items() if taken} & ANYWHERE == set()


def texts(module: ast.Module) -> Iterator[str]:
    """Every string that is no docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    about = {
        id(one.value)
        for node in ast.walk(module)
        if isinstance(node, documented)
        for one in node.body
        if isinstance(one, ast.Expr)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in about:
            yield node.value


def test_no_text_names_a_command_itself() -> None:
    names = "|".join(program.list_commands(click.Context(program)))
    by_hand = re.compile(rf"\bmulti-agent\s+({names}|record)\b")
    found = {name for name in python_files(*PACKAGES) for text in texts(tree(name)) if by_hand.search(text)}
    assert found == set(NOT_PRINTED), "write it with contracts.base.processes.command_lines.command_line"


def calls() -> Iterator[tuple[str, list[str]]]:
    """The words of every command that is printed; a value has a stand-in."""
    for name in set(python_files(*PACKAGES)) - {HOME}:
        for node in ast.walk(tree(name)):
            match node:
                case ast.Call(func=ast.Name(id="command_line"), args=args):
                    given = args
                case ast.Call(func=ast.Name(id="Advice"), args=[_, ast.Tuple(elts=given)]):
                    pass
                case _:
                    continue
            yield name, [_word(one) for one in given if not isinstance(one, ast.Starred)]


def _word(given: ast.expr) -> str:
    """What is printed, or something in its place that the command takes."""
    if isinstance(given, ast.Constant):
        return str(given.value)
    return {"name": "docker", "risk": "low"}.get(ast.unparse(given), "1")


@pytest.mark.parametrize(("name", "words"), sorted(calls()))
def test_every_printed_command_is_one(name: str, words: list[str]) -> None:
    found: click.Command = program
    rest = list(words)
    while isinstance(found, click.Group):
        inner = found.get_command(click.Context(found), rest.pop(0))
        assert inner is not None, f"{name}: {words}"
        found = inner
    place = [] if words[0] in ANYWHERE else ["--data-dir", "my data"]
    found.make_context("x", [*rest, *place])


def pasted(line: str, folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Paste a line into a shell with this PATH."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("on_path", [True, False])
def test_a_printed_command_works_as_pasted(on_path: bool, tmp_path: Path) -> None:
    path = f"{SCRIPT.parent}:{os.defpath}" if on_path else os.defpath
    made = pasted(f"{shlex.quote(str(SCRIPT))} db upgrade --data-dir 'my data'", tmp_path, path)
    assert made.returncode == 0, made.stderr
    missing = pasted(f"{shlex.quote(str(SCRIPT))} status w --data-dir 'my data'", tmp_path, path)
    command = missing.stderr.split("`")[1]
    assert command.startswith("multi-agent " if on_path else f"{SCRIPT} ")
    assert command.endswith(" --data-dir 'my data'")
    assert pasted(command, tmp_path, path).returncode == 0


def test_the_program_is_named_from_here_where_it_is_below(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "multi-agent").symlink_to(SCRIPT)
    ended = pasted("bin/multi-agent status", tmp_path, os.defpath)
    assert "`bin/multi-agent run REQUEST`" in ended.stderr


def test_a_folder_from_the_environment_is_named_too(tmp_path: Path) -> None:
    told = Cli(tmp_path)("status", code=2, MULTI_AGENT_DATA_DIR="else where").stderr
    assert "--data-dir 'else where'`" in told


def test_advice_is_words_with_the_command() -> None:
    assert str(Advice("make it", ("db", "upgrade"))) == "make it: multi-agent db upgrade"
