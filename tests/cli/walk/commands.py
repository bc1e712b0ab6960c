"""Every command of the command line, called with as little as it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from multi_agent.cli import cli

WORDS: Mapping[str, str] = {
    "request": "Create a slug function",
    "plan": "plan.json",
    "workflow": "completed",
    "task": "a",
    "file": "backup.db",
    "shell": "bash",
    "dead_letter_id": "1",
    "environment_id": "0123",
    "key_name": "ann",
    "session_id": "a-session",
    "name": "trial",
}
"""What each argument is given; a new one is put here."""
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "chaos": ("--list",),
    "sandbox test": ("--list",),
    "approve": ("--show",),
    "approvals approve": ("--show",),
    "answer": ("--show",),
    "budget raise": ("--tokens", "1000"),
    "redis-acl": ("--passwords", "passwords"),
    "gateway-key": ("--keys", "keys.json"),
    "rollout rollback": ("--reason", "no"),
}
"""So that a command takes no minutes, and says the same each time."""
_DECIDING = {"approve", "reject", *(f"approvals {one}" for one in ("approve", "reject", "show", "always"))}
WITH_ARGUMENTS = frozenset({"run", "plan", "gateway-key"}) | _DECIDING
"""Those that are called with arguments that they can do without."""
SERVING = frozenset({"up", "orchestrator", "worker", "watch", "gateway", "rollout serve"})
"""Those that go on until they are stopped."""
SLOW = SERVING | {"run", "why", "verify", "doctor", "sandbox build", "environment build"}
"""Those that serve, start processes or listen."""


def all_commands() -> dict[str, tuple[str, ...]]:
    """The words of each command, by its name."""
    return dict(_below(cli, ()))


def _below(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _below(command, (*path, name))
        else:
            full = " ".join((*path, name))
            yield full, (*path, name, *_arguments(full, command), *OPTIONS.get(full, ()))


def _arguments(full: str, command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and (parameter.required or full in WITH_ARGUMENTS):
            assert parameter.name is not None
            yield WORDS[parameter.name]
