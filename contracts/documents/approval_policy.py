"""Rules that say which actions a person must allow first: data with a version, read from a settings file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, StringConstraints

from contracts.base.model import Model
from contracts.base.paths import EVERYWHERE
from contracts.documents.canonical_json import canonical_hash
from contracts.documents.path_patterns import matches, pattern_fault

WHOLE: Final = frozenset({"task", "apply", "pr"})
"""Names of what is no call of an agent: a whole task, and releases into a user's repository."""
NOT_PLAIN: Final = frozenset(";&|<>$`(){}\n\r\\")
"""What makes another command of a line than the one it begins with."""
USUAL_HOURS: Final = 24
"""How long an approval can be used."""

_ANY_NAME: Final = "\0" * 201
"""Stands for every name in a folder: only `*`, or the folder itself, is a pattern of it."""
_GLOB: Final = re.compile(r"[*?]")

Risk: TypeAlias = Literal["low", "medium", "high"]
RISKS: Final = get_args(Risk)
"""From the least to the greatest."""
Verb: TypeAlias = Literal["ask", "allow", "deny"]


def _pattern(pattern: str) -> str:
    if fault := pattern_fault(pattern):
        raise ValueError(fault)
    return pattern


_Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=100)]
_Path = Annotated[str, AfterValidator(_pattern)]


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """What rules look at."""

    tool: str
    """`task` for a whole task, `apply` and `pr` for a release, else the name of an agent's tool."""
    role: str = ""
    paths: tuple[str, ...] = ()
    """Files, or folders ending in '/', that it may change."""
    command: str = ""
    usd: float | None = None
    """The most that it may cost, None for no limit."""


class ApprovalRule(Model):
    """Names actions by all that it says of them; what it does not say fits every action."""

    name: _Name
    then: Verb = Field(default="ask", description="what becomes of them")
    tools: tuple[_Name, ...] = Field(
        default=("task",), min_length=1, max_length=20, description="`task`, `apply`, `pr`, or an agent's"
    )
    roles: tuple[_Name, ...] = Field(default=(), max_length=20)
    paths: tuple[_Path, ...] = Field(default=(), max_length=100, description="as in a .gitignore file")
    commands: tuple[_Line, ...] = Field(
        default=(), max_length=100, description="patterns with `*`, of command lines"
    )
    usd_above: float | None = Field(default=None, ge=0, le=1_000_000, description="of what may cost more")
    risk: Risk = "medium"
    idempotent: bool = Field(
        default=False, description="whether an approval also holds for what repeats the same action"
    )
    hours: float = Field(default=USUAL_HOURS, gt=0, le=8_760, description="how long an approval can be used")

    def fits(self, facts: ActionFacts) -> bool:
        """Whether it names such an action."""
        return (
            facts.tool in self.tools
            and (not self.roles or facts.role in self.roles)
            and (not self.paths or self._names(facts))
            and (not self.commands or self._says(facts.command))
            and (self.usd_above is None or facts.usd is None or facts.usd > self.usd_above)
        )

    def _names(self, facts: ActionFacts) -> bool:
        """Whether it names one of the paths. To allow something it must name all, and whole.

        The words of a command do not say what it changes.
        """
        allows = self.then == "allow"
        found = [any(_reaches(one, path, whole=allows) for one in self.paths) for path in facts.paths]
        return bool(found) and not facts.command and all(found) if allows else any(found)

    def _says(self, command: str) -> bool:
        """Whether a pattern is that of the command. What a shell would read further allows nothing."""
        if self.then == "allow" and not NOT_PLAIN.isdisjoint(command):
            return False
        said = " ".join(command.split())
        return any(fnmatchcase(said, " ".join(pattern.split())) for pattern in self.commands)


class ApprovalPolicy(Model):
    """Rules in order: the first that names an action decides."""

    version: _Line = Field(description="a text of your own that changes with the rules")
    rules: tuple[ApprovalRule, ...] = Field(default=(), max_length=200)

    @property
    def digest(self) -> str:
        """SHA-256 of all it says."""
        return canonical_hash(self.model_dump(mode="json"))

    def rule_for(self, facts: ActionFacts) -> ApprovalRule | None:
        """The rule that decides; None where none names the action."""
        return next((rule for rule in self.rules if rule.fits(facts)), None)

    @property
    def about_calls(self) -> bool:
        """Whether a rule names a tool of agents."""
        return any(not WHOLE.issuperset(rule.tools) for rule in self.rules)


def _reaches(pattern: str, path: str, *, whole: bool) -> bool:
    """Whether what may be written at a path may be what a pattern names; `whole`: whether it is in any case.

    Of a task that may write everything a rule for paths says nothing: what it changed is known at its end,
    and is looked at before it is released.
    """
    if path == EVERYWHERE:
        return False
    if not path.endswith("/"):
        return matches(pattern, path)
    if matches(pattern, path + _ANY_NAME):
        return True
    if whole:
        return False
    if "/" not in pattern.strip("/") and not pattern.startswith("/"):
        return True
    fixed, folder = _GLOB.split(pattern.lstrip("/"))[0].casefold(), path.casefold()
    return fixed.startswith(folder) or folder.startswith(fixed)


def frozen(value: Any) -> Any:
    """What TOML was read as, with tuples for lists."""
    if isinstance(value, dict):
        return {name: frozen(one) for name, one in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def combined(users: ApprovalPolicy | None, repository: ApprovalPolicy | None) -> ApprovalPolicy | None:
    """The user's rules, then those of the repository; None without any."""
    both = [("user", users), ("repository", repository)]
    found = [(whose, policy) for whose, policy in both if policy is not None and policy.rules]
    if not found:
        return None
    version = ", ".join(f"{whose} {policy.version}" for whose, policy in found)[:300]
    names = {rule.name for rule in users.rules} if users else set()
    rules = [*(users.rules if users else ())]
    for rule in repository.rules if repository else ():
        # Rules are found by their names later.
        name = f"{rule.name[:80]}.of-repository" if rule.name in names else rule.name
        rules.append(rule.model_copy(update={"name": name}))
    return ApprovalPolicy(version=version, rules=tuple(rules))
