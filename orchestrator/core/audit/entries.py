"""What the audit log holds: an entry for each decision of a person or a policy, or effect outside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from contracts.base.text import encodable

Fact: TypeAlias = str | int | float | bool | None

COMMANDS: Final = "commands"
"""The chain of what faces append: commands, and effects outside."""
MOST_FACT: Final = 500
"""Characters of a fact; a longer text stands as its hash."""


class Via(StrEnum):
    """Where a decision came from."""

    COMMAND_LINE = "command line"
    PROGRAM = "program"
    """Code that imports this package."""
    COMMAND = "command"
    """A stored command that an orchestrator applied; its entry in the chain of commands says from where."""
    POLICY = "policy"
    ORCHESTRATOR = "orchestrator"
    """The orchestrator by itself."""


class Actor(NamedTuple):
    """Who decides, and from where."""

    who: str
    via: Via


class AuditKind(StrEnum):
    """Every kind of entry, with its facts. A reader passes over kinds that it does not know."""

    ASKED = "command.asked"
    """A command was stored. Chain of commands; command, command_id, body_sha256, and `body_facts`."""
    APPLIED = "command.applied"
    """A command took effect. Chain of the shard; as above, without body_sha256."""
    REFUSED = "command.refused"
    """A command changed nothing. Chain of the shard; as above, and reason_sha256."""
    APPROVAL_ASKED = "approval.asked"
    """A policy asks a person about a release. Chain of commands; effect, rule."""
    APPROVAL_GIVEN = "approval.given"
    """A person allows it. Chain of commands; action_sha256, effect, text_sha256."""
    APPROVAL_DENIED = "approval.denied"
    """A person refuses it, or a policy denies a task. Chain of commands, of a task its shard's; rule."""
    APPROVAL_USED = "approval.used"
    """An approval was used up. Chain of the shard, of a release of commands; action_sha256, dispatch_id."""
    POLICY_SIGNED = "policy.signed"
    """A person added a rule to the policy. Chain of commands; file, rule, version, policy_sha256."""
    INTENDED = "effect.intended"
    """An effect outside the database begins. Chain of commands; effect (apply, branch, pr, key.add,
    key.change, key.remove), effect_id, and what it is to do."""
    DONE = "effect.done"
    """It happened: effect, effect_id, and what became of it."""
    NOT_DONE = "effect.refused"
    """It was refused and changed nothing: effect, effect_id, reason_sha256."""
    UNKNOWN = "effect.unknown"
    """Whether it happened is unknown: effect, effect_id, error (the name of its class)."""
    ROLLOUT_STARTED = "rollout.started"
    """Traffic begins to go over. Chain of commands, as those below; rollout, stage, percent, plan_sha256."""
    ROLLOUT_PROMOTED = "rollout.promoted"
    """It went on: rollout, revision, stage and percent after it, why, and the numbers of each check."""
    ROLLOUT_COMPLETED = "rollout.completed"
    """The last stage held. The same facts."""
    ROLLOUT_ROLLED_BACK = "rollout.rolled_back"
    """All traffic went back. The same facts; a person's reason stands as reason_sha256."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One decision, before it has a place in a chain. No secret is a fact: of free text only its hash is."""

    kind: str
    """An AuditKind, or one of a later version."""
    who: str
    """The user of the operating system, a policy with its version, or the name of a program."""
    via: Via
    workflow_id: str | None = None
    task_id: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))
    """By names of letters and `_`. What is None is left out."""


def shard_chain(shard: int) -> str:
    """The name of a shard's chain."""
    return f"shard-{shard}"


def text_hash(text: str) -> str:
    """The SHA-256 of a text that is not stored itself."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def plain_fact(value: Fact) -> Fact:
    """The value as it is stored."""
    if not isinstance(value, str):
        return value
    return encodable(value) if len(value) <= MOST_FACT else f"sha256:{text_hash(value)}"
