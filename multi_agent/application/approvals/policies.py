"""The user's own rules about approvals: read from a file, joined with a repository's, and added to."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from agents.sdk.permits import facts_of
from contracts.base.errors import InvalidInput
from contracts.base.paths import EVERYWHERE
from contracts.base.strict_json import shown
from contracts.documents.approval_policy import NOT_PLAIN, ApprovalPolicy, ApprovalRule, combined, frozen
from contracts.documents.repository_settings import RepositorySettings
from multi_agent.application.waiting import PendingApproval
from orchestrator.core.approvals.actions import GOVERNING

if TYPE_CHECKING:
    from multi_agent.settings import Settings

_MAX_BYTES: Final = 200_000
_SHOWN: Final = 5
_GLOB: Final = re.compile(r"([*?[])")
_VERSION: Final = re.compile(r"\s*version\s*=")


def policy_file(settings: Settings) -> Path:
    """Where the user's rules are."""
    return settings.approvals or settings.data / "approvals.toml"


def policy_for(settings: Settings, repository: RepositorySettings | None) -> ApprovalPolicy | None:
    """The rules for a new workflow: the user's, then the repository's; None without any.

    Raises InvalidInput as `read_policy`, and for a file that the settings name and that is absent.
    """
    users = read_policy(policy_file(settings), must_exist=settings.approvals is not None)
    return combined(users, repository.approvals if repository else None)


@dataclass(frozen=True, slots=True)
class ProposedRule:
    """A rule that would allow what waits, always, and the policy with it; a person must sign it."""

    rule: ApprovalRule
    text: str
    """The whole file with it."""
    policy: ApprovalPolicy
    block: str
    """What is added to the file."""


def propose_rule(settings: Settings, approval: PendingApproval) -> ProposedRule:
    """The narrowest rule that allows the same again, before all others. Nothing is changed.

    Raises InvalidInput where no rule can: a release that changes the rules, a task that may write everything.
    """
    file = policy_file(settings)
    text = file.read_text(encoding="utf-8") if file.exists() else 'version = "0"\n'
    old = parse_policy(text.encode(), str(file))
    rule = _rule_for(approval)
    version = _next(old.version)
    block = _toml(rule)
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if line.strip() == "[[rules]]"), len(lines))
    named = next((n for n, line in enumerate(lines[:at]) if _VERSION.match(line)), None)
    if named is not None:
        lines[named] = f"version = {json.dumps(version)}"
    new = "\n".join((*lines[:at], "", *block.splitlines(), "", *lines[at:])).rstrip() + "\n"
    policy = parse_policy(new.encode(), str(file))
    if policy != ApprovalPolicy(version=version, rules=(rule, *old.rules)):
        raise InvalidInput(f"{file}: cannot be changed safely; add the rule yourself:\n{block}")
    return ProposedRule(rule, new, policy, block)


def sign_rule(settings: Settings, proposed: ProposedRule) -> Path:
    """Put a proposed rule into force for new workflows. Raises InvalidInput for a file that cannot be had."""
    file = policy_file(settings)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        unfinished.write_text(proposed.text, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    return file


def _rule_for(approval: PendingApproval) -> ApprovalRule:
    action, name = approval.action, f"always-{approval.action_hash[:12]}"
    if approval.rule == GOVERNING.rule:
        raise InvalidInput("a release that changes the rules is asked about each time; no rule allows it")
    tool = action["action"]
    limits = {} if approval.release else _limits(approval.task_id, action["task"], action["call"])
    try:
        return ApprovalRule(name=name, then="allow", tools=(tool,), **limits)
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        raise InvalidInput(f"{tool}: no rule can say this: {what['loc'][0]}: {what['msg']}") from None


def _limits(task_id: str, task: Mapping[str, Any], call: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a rule says so that it allows this and no more. Raises InvalidInput where it would allow all."""
    roles, paths = (task["agent_role"],), tuple(task.get("output_artifacts", ()))
    if call is None:
        if not paths or EVERYWHERE in paths:
            raise InvalidInput(f"task {task_id}: may write every file, which no rule allows for ever")
        return {"roles": roles, "paths": paths}
    facts = facts_of(call["tool"], task["agent_role"], json.loads(call["arguments"]))
    if not facts.command:
        return {"roles": roles, "paths": facts.paths}
    if not NOT_PLAIN.isdisjoint(facts.command):
        raise InvalidInput(f"task {task_id}: its command is one of a shell, which no rule allows for ever")
    return {"roles": roles, "commands": (_GLOB.sub(r"[\1]", facts.command),)}


def _next(version: str) -> str:
    """The version after one, by its last number."""
    found = re.search(r"(\d+)\D*$", version)
    return f"{version[: found.start(1)]}{int(found[1]) + 1}" if found else f"{version[:290]}.1"


def _toml(rule: ApprovalRule) -> str:
    """A rule as TOML, whose texts and lists are those of JSON here."""
    said = rule.model_dump(mode="json", exclude_defaults=True)
    return "\n".join(("[[rules]]", *(f"{name} = {json.dumps(value)}" for name, value in said.items())))


def read_policy(file: Path, *, must_exist: bool = False) -> ApprovalPolicy | None:
    """Read rules from a TOML file; None where there is none.

    Raises InvalidInput with one line for each mistake.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if not must_exist:
            return None
        raise InvalidInput(f"{file}: there is no such file; MULTI_AGENT_APPROVALS names it") from None
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise InvalidInput(f"{file}: has more than {_MAX_BYTES:,} bytes; shorten it")
    return parse_policy(raw, str(file))


def parse_policy(raw: bytes, name: str) -> ApprovalPolicy:
    """Read rules from TOML. Raises InvalidInput with one line for each mistake, of at most five."""
    try:
        found = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{name}: is no TOML: {error}") from None
    try:
        return ApprovalPolicy.model_validate(frozen(found), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)[:_SHOWN]
        lines = (
            f"{name}: {'.'.join(map(str, one['loc']))} is {shown(one['input'])}: {one['msg']}"
            for one in details
        )
        raise InvalidInput("\n".join(lines)) from None
