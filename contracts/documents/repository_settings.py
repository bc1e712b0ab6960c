"""What a repository says about work in it: commands, and what nobody may touch."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from contracts.base.errors import InvalidInput
from contracts.base.model import Model
from contracts.base.strict_json import shown
from contracts.documents.approval_policy import USUAL_HOURS, ApprovalPolicy, frozen
from contracts.documents.path_patterns import matches, pattern_fault

OWN_FILE: Final = ".multi-agent.toml"
PROJECT_FILE: Final = "pyproject.toml"
SETTINGS_FILES: Final = (OWN_FILE, PROJECT_FILE)
"""The first that has settings counts whole."""
MAX_BYTES: Final = 500_000
"""Of one file."""

_TABLE: Final = "multi-agent"
_OPERATORS: Final = frozenset("();<>|&")
_COMMANDS: Final = ("test", "lint", "type", "format", "setup")


def _one_command(command: str) -> str:
    """Return a command line that needs no shell. Raises ValueError."""
    if not command.isprintable():
        raise ValueError("it must be one line")
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    words = list(lexer)
    if not words:
        raise ValueError("it is empty")
    if used := next((word for word in words if _OPERATORS.issuperset(word)), None):
        raise ValueError(f"no shell runs it, so quote {used!r}, or write sh -c '...'")
    return command


def _pattern(pattern: str) -> str:
    if fault := pattern_fault(pattern):
        raise ValueError(fault)
    return pattern


def _asks_only(policy: ApprovalPolicy) -> ApprovalPolicy:
    if rule := next((rule for rule in policy.rules if rule.then == "allow"), None):
        raise ValueError(f"rule {rule.name!r} allows, which the user alone may")
    wider = (one for one in policy.rules if one.idempotent or one.hours > USUAL_HOURS or one.risk == "low")
    if rule := next(wider, None):
        raise ValueError(
            f"rule {rule.name!r} makes approvals wider (idempotent, hours above {USUAL_HOURS}, or risk low), "
            "which the user alone may"
        )
    return policy


AskingPolicy = Annotated[ApprovalPolicy, AfterValidator(_asks_only)]
CommandLine = Annotated[str, StringConstraints(max_length=500), AfterValidator(_one_command)]
PathPattern = Annotated[str, AfterValidator(_pattern)]


class RepositorySettings(Model):
    """The settings of a repository. They narrow what its user allows, and never widen it."""

    test: CommandLine | None = Field(default=None, description="runs all tests")
    lint: CommandLine | None = None
    type: CommandLine | None = None
    format: CommandLine | None = None
    setup: CommandLine | None = Field(default=None, description="prepares what the tests need")
    services: tuple[Literal["postgresql", "redis"], ...] = Field(
        default=(), max_length=2, description="servers that run beside its programs in a sandbox"
    )
    protected: tuple[PathPattern, ...] = Field(
        default=(), max_length=100, description="paths that nobody may touch, as in a .gitignore file"
    )
    model: Annotated[str, StringConstraints(pattern=r"^(gemini|openai):[A-Za-z0-9._:/@-]+$")] | None = Field(
        default=None, max_length=200, description="used where the user names none"
    )
    budget_usd: float | None = Field(default=None, gt=0, le=1_000_000)
    approvals: AskingPolicy | None = Field(
        default=None,
        # Releases before it refuse fields that they do not know.
        exclude_if=lambda policy: policy is None,
        description="rules that say which actions a person must allow first",
    )

    @property
    def commands(self) -> Mapping[str, str]:
        """What it is for -> command line, of those that are set."""
        return {name: command for name in _COMMANDS if (command := getattr(self, name)) is not None}

    @property
    def lines(self) -> tuple[str, ...]:
        """Each setting in words."""
        lines = [f"{name}: {command}" for name, command in self.commands.items()]
        if self.services:
            lines.append(f"services: {', '.join(self.services)}")
        if self.protected:
            lines.append(f"protected: {', '.join(self.protected)}")
        if self.model:
            lines.append(f"model: {self.model}")
        if self.approvals:
            names = ", ".join(rule.name for rule in self.approvals.rules) or "no rule"
            lines.append(f"approvals: version {self.approvals.version}: {names}")
        if self.budget_usd:
            lines.append(f"budget: ${self.budget_usd:,.2f} at most")
        return tuple(lines)

    def protection(self, path: str) -> str | None:
        """The pattern that protects a path; None when none does."""
        return next((pattern for pattern in self.protected if matches(pattern, path)), None)


NO_SETTINGS: Final = RepositorySettings()

_ALLOWED: Final = {
    **dict.fromkeys(_COMMANDS, "a command line of at most 500 characters, such as 'pytest -q'"),
    "services": "a list of 'postgresql' and 'redis'",
    "protected": "a list of at most 100 paths such as 'migrations/' or '*.lock'",
    "model": "'gemini:MODEL' or 'openai:MODEL'",
    "budget_usd": "a number above 0, at most 1,000,000",
    "approvals": "a table with a version and rules, as docs/approvals.md has it",
}


@dataclass(frozen=True, slots=True)
class FoundSettings:
    """Settings, and where they stand."""

    settings: RepositorySettings
    file: str
    note: str = ""
    """What was left aside; "" for nothing."""


def read_settings(files: Mapping[str, bytes]) -> FoundSettings | None:
    """Read the settings from those of SETTINGS_FILES that a repository has; None where it says nothing.

    Raises InvalidInput with one line for each mistake. A project file that cannot be read and does not
    mention the table says nothing.
    """
    own = _own_table(files[OWN_FILE]) if OWN_FILE in files else None
    project = _project_table(files[PROJECT_FILE]) if PROJECT_FILE in files else None
    if own is not None:
        note = f"{OWN_FILE} counts, [tool.{_TABLE}] in {PROJECT_FILE} does not" if project is not None else ""
        return FoundSettings(_checked(own, OWN_FILE), OWN_FILE, note)
    if project is not None:
        return FoundSettings(_checked(project, PROJECT_FILE), PROJECT_FILE)
    return None


def _own_table(raw: bytes) -> Mapping[str, Any]:
    found = _toml(raw)
    if isinstance(found, str):
        raise InvalidInput(f"{OWN_FILE}: {found}")
    return found


def _project_table(raw: bytes) -> Mapping[str, Any] | None:
    found = _toml(raw)
    if isinstance(found, str):
        if _TABLE.encode() not in raw:
            return None
        raise InvalidInput(f"{PROJECT_FILE}: {found}, so [tool.{_TABLE}] cannot be read")
    tools = found.get("tool")
    table = tools.get(_TABLE) if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise InvalidInput(f"{PROJECT_FILE}: tool.{_TABLE} is {shown(table)}; make it a table")
    return table


def _toml(raw: bytes) -> Mapping[str, Any] | str:
    """Read TOML; what is wrong with it as a text."""
    if len(raw) > MAX_BYTES:
        return f"has {len(raw):,} bytes, the limit is {MAX_BYTES:,}"
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        return "is nested too deeply"
    except ValueError as error:
        return f"is no TOML: {error}"


def _checked(table: Mapping[str, Any], file: str) -> RepositorySettings:
    try:
        return RepositorySettings.model_validate(frozen(table), strict=True)
    except ValidationError as error:
        raise InvalidInput("\n".join(_mistakes(error, file))) from None


def _mistakes(error: ValidationError, file: str) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        key, *place = detail["loc"]
        where = f"{file}: {key}" + "".join(
            f".{part}" if isinstance(part, str) else f"[{part}]" for part in place
        )
        if detail["type"] == "extra_forbidden" and place:
            yield f"{where} is no setting of a rule; remove it"
            continue
        if detail["type"] == "extra_forbidden":
            yield f"{file}: {shown(key)} is no setting; {_suggestion(str(key))}"
            continue
        because = f": {detail['ctx']['error']}" if detail["type"] == "value_error" else ""
        yield f"{where} is {shown(detail['input'])}{because}; set it to {_ALLOWED[str(key)]}"


def _suggestion(key: str) -> str:
    close = get_close_matches(key[:50], _ALLOWED, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_ALLOWED)}"
