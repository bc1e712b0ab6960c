"""Checks what a task wrote by commands: the rules of its plan, and what its repository's settings name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agents.sdk.changed_tree import ChangedTree
from agents.sdk.structured_output import MAX_REPAIRS
from agents.sdk.task import Task
from agents.testing.first_failure import command_failure
from agents.testing.pytest_commands import split_command
from agents.testing.stable_text import normalised_lines
from agents.testing.validation import command_run, merged_tree
from agents.tools.checkers import (
    FILE,
    checking,
    files_for,
    filled,
    findings,
    is_checker,
    new_findings,
    without_places,
)
from agents.tools.shown_text import head_and_tail
from contracts.base.errors import AgentFailure
from contracts.base.languages import CHECKERS, HOW_TO_GET_CHECKERS
from contracts.documents.reports import BuildReport, CommandRun
from contracts.documents.repository_settings import NO_SETTINGS
from contracts.documents.todo_list import Role
from contracts.ports.sandbox import SandboxResult, Verdict

Files = Mapping[str, bytes | str | None]

_OF_REPOSITORY: Final = ("lint", "type", "format")
_SECONDS: Final = 120.0
_SHARE: Final = 20
"""For a command of the repository, which looks at all of it: at most, and which part of the task's time."""
_CHARACTERS: Final = 3_000
_NOT_FOUND: Final = 127
_ENDED: Final = frozenset({Verdict.OK, Verdict.FAILED})
_ABSENT: Final = 'for name; do command -v "$name" >/dev/null || echo "$name"; done'
_UNKNOWN: Final = re.compile(
    r"(?:^|\s)([^\s:]+): (?:(?:command )?not found|No such file or directory)$", re.M
)
_NO_MODULE: Final = re.compile(r"No module named ([\w.]+)$")


@dataclass(frozen=True, slots=True)
class _Check:
    """One command."""

    command: str
    setting: str = ""
    """Which setting of the repository names it; "" for a rule of the plan."""

    @property
    def name(self) -> str:
        return f"the repository's {self.setting} command" if self.setting else "validation command"

    @property
    def argv(self) -> tuple[str, ...]:
        return checking(split_command(self.command))

    @property
    def compares(self) -> bool:
        """Whether what it says is a list of findings, some of which may be older than the work."""
        return bool(self.setting) or FILE in self.command or is_checker(self.argv)


@dataclass(slots=True)
class Checks:
    """The commands of one task, and what they said of its files last."""

    task: Task
    report: BuildReport | None = field(default=None, init=False)
    """How the rules of the plan ended; None without any."""
    remarks: list[str] = field(default_factory=list, init=False)
    """What the repository's own commands still say."""
    _judged: Files | None = field(default=None, init=False)
    _sent_back: int = field(default=0, init=False)
    _given_up: dict[str, str] = field(default_factory=dict, init=False)
    """Commands of the repository that say nothing here, and why; they are not run again."""
    _before_work: dict[tuple[str, ...], SandboxResult] = field(default_factory=dict, init=False)

    async def look(self) -> None:
        """Look for the programs of the plan's rules.

        Raises AgentFailure (checker_missing), and SandboxUnavailable.
        """
        checks = [check for check in self.checks if check.compares and not check.setting]
        programs = sorted({check.argv[0] for check in checks})
        if not programs:
            return
        absent = (await self.task.run_sandbox(("sh", "-c", _ABSENT, "sh", *programs))).stdout.decode()
        for check in checks:
            if check.argv[0] in absent.split():
                self._without(check, check.argv[0])

    @property
    def checks(self) -> tuple[_Check, ...]:
        """The rules of a coder's task that are commands, then the commands of the repository's settings."""
        item, said = self.task.item, self.task.request.repository or NO_SETTINGS
        rules = item.acceptance_criteria.validation_rules if item.agent_role == Role.CODER else ()
        own = ((name, said.commands.get(name)) for name in _OF_REPOSITORY if name not in self._given_up)
        return (
            *(_Check(rule.command) for rule in rules if rule.type == "command"),
            *(_Check(command, name) for name, command in own if command is not None),
        )

    @property
    def note(self) -> str:
        """The remarks, as they stand behind a summary."""
        return "".join(f" ({remark})" for remark in (*self.remarks, *self._given_up.values()))

    @property
    def can_be_mended(self) -> bool:
        """Whether who wrote the files is asked once more after the last failure."""
        return self._sent_back <= MAX_REPAIRS

    async def judge(self, files: Files, *, at_end: bool = False) -> None:
        """Run all commands on the task's tree with `files`, unless they are those that passed last.

        Raises AgentFailure (validation_failed) with all that is wrong, of the repository's own commands only
        as long as it can be mended, else it becomes a remark; checker_missing, which is no fault of the
        files, for a program that a rule needs; SandboxUnavailable.

        at_end: nothing will be mended any more.
        """
        if files == self._judged or not (checks := self.checks):
            return
        runs: list[CommandRun] = []
        problems: list[str] = []
        own: list[str] = []
        self.remarks, tree = [], merged_tree(self.task.files, files)
        for check in checks:
            run, problem = await self._run(check, files, tree)
            if not check.setting and run is not None:
                runs.append(run)
            if problem:
                (own if check.setting else problems).append(problem)
        if not at_end and self._sent_back < MAX_REPAIRS:
            problems += own
        else:
            self.remarks += [problem.partition("\n")[0] for problem in own]
        if problems:
            self._sent_back += 1
            raise AgentFailure("\n\n".join(problems), code="validation_failed")
        self._judged = files
        if any(not check.setting for check in checks):
            self.report = BuildReport(passed=True, runs=tuple(runs))

    async def _run(self, check: _Check, files: Files, tree: ChangedTree) -> tuple[CommandRun | None, str]:
        """How a command ended, None where it has nothing to look at, and what is wrong, "" for nothing."""
        argv, written = check.argv, [path for path, content in files.items() if content is not None]
        paths = files_for(argv, written)
        if FILE in check.command and not paths:
            return None, ""
        ended = await self._sandbox(check, filled(argv, paths), tree)
        run = command_run(check.command, ended)
        if run.verdict == "ok":
            return run, ""
        if missing := _missing(argv, ended):
            self._without(check, missing)
            return None, ""
        return run, await self._problem(check, argv, paths, tree, ended, run)

    async def _problem(
        self,
        check: _Check,
        argv: tuple[str, ...],
        paths: list[str],
        tree: ChangedTree,
        ended: SandboxResult,
        run: CommandRun,
    ) -> str:
        """What the work has to do with a command that did not succeed; "" for nothing."""
        named, has_ended = f"{check.name} {check.command!r}", ended.verdict in _ENDED
        if check.setting and not has_ended:
            self._given_up[check.setting] = f"{named} did not end: {run.verdict}"
            return ""
        found = _found(ended, tree) if check.compares and has_ended else []
        before = await self._before(check, argv, paths) if found or check.setting else None
        if found:
            old = _found(before, self.task.files) if before else []
            if not (new := new_findings(found, without_places(old))):
                return ""
            if not (check.setting or is_checker(argv)):
                return _failed(named, run, ended, tree)
            more = "" if len(new) == 1 else f", and {len(new) - 1} more"
            return f"{named} failed: {new[0]}{more}\n{head_and_tail(chr(10).join(new), _CHARACTERS)}"
        if before is not None and before.verdict is not Verdict.OK:
            self.remarks.append(f"{named} fails without this work too")
            return ""
        return _failed(named, run, ended, tree)

    async def _before(self, check: _Check, argv: tuple[str, ...], paths: list[str]) -> SandboxResult | None:
        """How a command ends without the work; None where it had nothing to look at."""
        there = [path for path in paths if path in self.task.files]
        if not (there if FILE in check.command else self.task.files):
            return None
        words = filled(argv, there)
        if words not in self._before_work:
            self._before_work[words] = await self._sandbox(check, words, self.task.files)
        return self._before_work[words]

    async def _sandbox(
        self, check: _Check, argv: tuple[str, ...], tree: Mapping[str, bytes]
    ) -> SandboxResult:
        seconds = min(_SECONDS, self.task.item.timeout_seconds / _SHARE) if check.setting else None
        return await self.task.run_sandbox(argv, files=tree, wall_seconds=seconds)

    def _without(self, check: _Check, program: str) -> None:
        """Say that a program is not there. Raises AgentFailure for a rule of the plan."""
        advice = (
            str(HOW_TO_GET_CHECKERS) if program in CHECKERS else "it must be in the repository's environment"
        )
        if check.setting:
            self._given_up[check.setting] = (
                f"not checked: {check.setting}, as {program} is not in the sandbox"
            )
            return
        message = f"the rule {check.command!r} cannot be checked: {program} is not in the sandbox; {advice}"
        raise AgentFailure(message, code="checker_missing", retryable=False)


def _found(ended: SandboxResult, tree: Mapping[str, bytes]) -> list[str]:
    output = (ended.stdout + b"\n" + ended.stderr).decode("utf-8", "replace")
    return findings(normalised_lines(output), tree)


def _failed(named: str, run: CommandRun, ended: SandboxResult, tree: Mapping[str, bytes]) -> str:
    failure = command_failure(run, ended, tree)
    return f"{named} failed: {failure.said if failure else run.verdict}\n{run.output_tail}"


def _missing(argv: tuple[str, ...], ended: SandboxResult) -> str:
    """The program, or the module, that a command runs and that is not there; "" when it is."""
    said = ended.stderr.decode("utf-8", "replace").rstrip()
    if ended.exit_code == _NOT_FOUND and (found := _UNKNOWN.search(said)):
        return found[1]
    module = _NO_MODULE.search(said) if argv[1:2] == ("-m",) else None
    return module[1] if module and module[1] == argv[2] else ""
