"""What a command is run on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping

from agents.sdk.changed_tree import ChangedTree
from agents.testing.stable_text import normalised_tail
from contracts.documents.reports import CommandRun
from contracts.ports.sandbox import SandboxResult, Verdict


def merged_tree(base: Mapping[str, bytes], changes: Mapping[str, bytes | str | None]) -> ChangedTree:
    """Apply the changes to the tree. None deletes a file."""
    written = {
        path: content.encode() if isinstance(content, str) else content for path, content in changes.items()
    }
    return ChangedTree(base, written)


def command_run(cmd: str, ended: SandboxResult) -> CommandRun:
    """Summarise how a command ended; its output is kept only when it did not exit with 0."""
    succeeded = ended.verdict is Verdict.OK and ended.exit_code == 0
    verdict = "failed" if ended.verdict is Verdict.OK and not succeeded else ended.verdict.value
    tail = "" if succeeded else normalised_tail(ended.stdout + b"\n" + ended.stderr)
    return CommandRun.model_validate(
        {"cmd": cmd[:300], "verdict": verdict, "exit_code": ended.exit_code, "output_tail": tail}
    )
