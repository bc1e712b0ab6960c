"""Calls of tools that a person must allow: looked at before each call, and again when one was allowed."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shlex
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from contracts.base.errors import InvalidInput
from contracts.base.paths import NOWHERE, diff_path
from contracts.base.text import encodable
from contracts.documents.approval_policy import ActionFacts, ApprovalRule
from contracts.messages.approvals import MOST_ARGUMENTS, Permits, WantedAction
from contracts.messages.suspension import Suspended, Suspension
from contracts.ports.workspace import Environment, Workspace

_PART: Final = 1_000_000
_MOST_FILES: Final = 50
"""Files of a call whose contents are named one by one; the tree holds all of them anyway."""
_MOST_BYTES: Final = 64_000_000
_DIFF: Final = re.compile(r"^(?:---|\+\+\+) .*$", re.MULTILINE)
_MOST_PATH: Final = 1_024
_ONE_USE: Final = "use"


class Uses(Protocol):
    """Where it is kept, for all workers, that a call was made. Raises ArtifactError, StoreUnavailable."""

    async def create(self, key: str, content: bytes) -> bool:
        """Store the content unless there is another under the key; whether it is there now, durably."""


class CallPermits:
    """Lets calls of one execution pass, or ends it until a person has decided.

    What a call names may change until it is made: it is read just before, and one byte more is another call.
    """

    def __init__(
        self,
        permits: Permits | None,
        role: str,
        uses: Uses,
        environment: Callable[[], Awaitable[Environment]],
        dispatch_id: str,
    ) -> None:
        self._permits, self._role = permits, role
        self._uses, self._environment = uses, environment
        self._dispatch_id, self._mine = dispatch_id, uuid.uuid4().hex.encode()
        self._used = False

    async def check(
        self, tool: str, written: str, arguments: Mapping[str, Any], workspace: Workspace
    ) -> None:
        """Return when the call may be made now.

        written: the arguments as the model wrote them. Raises InvalidInput for a call that is denied, with
        the reason, Suspended for one that a person must allow first, and what the workspace raises.
        """
        if self._permits is None:
            return
        facts = facts_of(tool, self._role, arguments)
        rule = self._permits.policy.rule_for(facts)
        if rule is None or rule.then == "allow":
            return
        if rule.then == "deny":
            raise InvalidInput(f"the rule {rule.name!r} of the policy denies it; do without")
        if len(written) > MOST_ARGUMENTS:
            raise InvalidInput(
                f"a person must allow it, and its {len(written):,} characters are too many; "
                f"at most {MOST_ARGUMENTS:,}"
            )
        wanted = await self._wanted(tool, written, rule, workspace, facts.paths)
        if (why := self._permits.refused.get(wanted.digest)) is not None:
            raise InvalidInput(f"{why}; do without")
        if wanted.digest != self._permits.allowed or not await self._is_first(wanted, rule):
            raise Suspended(Suspension(action=wanted))

    async def _wanted(
        self, tool: str, written: str, rule: ApprovalRule, workspace: Workspace, paths: tuple[str, ...]
    ) -> WantedAction:
        environment = repr(await self._environment()).encode()
        return WantedAction(
            tool=tool,
            arguments=written,
            tree=await workspace.snapshot(),
            files={path: digest async for path, digest in _contents(workspace, paths)},
            environment=hashlib.sha256(environment).hexdigest(),
            rule=rule.name,
            risk=rule.risk,
        )

    async def _is_first(self, wanted: WantedAction, rule: ApprovalRule) -> bool:
        """Whether nobody has made the call with this approval: neither this execution, nor another of it."""
        if rule.idempotent:
            return True
        if self._used:
            return False
        self._used = True
        return await self._uses.create(f"{_ONE_USE}:{wanted.digest}:{self._dispatch_id}", self._mine)


def facts_of(tool: str, role: str, arguments: Mapping[str, Any]) -> ActionFacts:
    """What rules look at of a call: its command, and the paths that it names. A call costs nothing more."""
    return ActionFacts(tool, role, tuple(_named(arguments)), _command(arguments), usd=0.0)


def _command(arguments: Mapping[str, Any]) -> str:
    found = arguments.get("command", "")
    return found if isinstance(found, str) else ""


def _named(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The paths that a call names."""
    for name in ("path", "tests", "diff"):
        value = arguments.get(name, ())
        for text in (value,) if isinstance(value, str) else value if isinstance(value, list) else ():
            if name == "diff":
                found = [one for one in map(diff_path, _DIFF.findall(text)) if one != NOWHERE]
            else:
                found = [str(text).partition("::")[0]]
            yield from map(_plain, found)
    yield from _words(_command(arguments))


def _words(command: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command, comments=False)
    except ValueError:
        words = command.split()
    return tuple(_plain(word) for word in words if not word.startswith("-"))


def _plain(path: str) -> str:
    return posixpath.normpath(encodable(path)[:_MOST_PATH]).lstrip("/")


async def _contents(workspace: Workspace, paths: tuple[str, ...]) -> AsyncIterator[tuple[str, str]]:
    """Path and SHA-256 of those that are files, as the call would read them: behind links."""
    for path in sorted({*paths} - {"", "."})[:_MOST_FILES]:
        digest, size = hashlib.sha256(), 0
        try:
            while (part := await workspace.read(path, offset=size, size=_PART)) and size < _MOST_BYTES:
                digest.update(part)
                size += len(part)
        except InvalidInput:
            continue
        yield path, digest.hexdigest()
