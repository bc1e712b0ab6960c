"""The first failure of a session or a command, and whether the unchanged base fails in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agents.sdk.changed_tree import ChangedTree, is_changed
from agents.testing.error_lines import first_error
from agents.testing.verdict import Session
from contracts.base.languages import serves_tests
from contracts.documents.failure import MAX_ERROR, TestFailure
from contracts.documents.reports import CommandRun
from contracts.ports.sandbox import SandboxResult

_MAX_BYTES: Final = 50_000


def session_failure(
    cmd: str, session: Session, ended: SandboxResult, files: Mapping[str, bytes]
) -> TestFailure | None:
    """Return why the tests of a session did not pass, None when they did.

    Tests that could not be loaded go before problems of the session, and these before failing tests.
    """
    if session.passed:
        return None
    first = session.first
    if first is not None and (not first.loaded or not session.problems):
        place = {"path": first.path, "line": first.line or None} if first.path else {}
        kind = "failed" if first.loaded else "not_loaded"
        return TestFailure.model_validate(
            {"kind": kind, "test": first.test_id, "error": first.message[:MAX_ERROR], **place}
        )
    if session.refused:
        found = first_error(_text(ended.stderr), files)
        return TestFailure(kind="not_loaded", test=cmd, error=found.error, path=found.path, line=found.line)
    problem = session.problems[0] if session.problems else "no test passed"
    return TestFailure(kind="not_verified", test=cmd, error=problem[:MAX_ERROR])


def command_failure(run: CommandRun, ended: SandboxResult, files: Mapping[str, bytes]) -> TestFailure | None:
    """Return why a command did not succeed, None when it did."""
    if run.verdict == "ok":
        return None
    found = first_error(_text(ended.stdout) + "\n" + _text(ended.stderr), files)
    how = f"exit code {run.exit_code}" if run.verdict == "failed" else run.verdict
    error = f"{how}: {found.error}" if found.error else how
    return TestFailure(kind="failed", test=run.cmd, error=error[:MAX_ERROR], path=found.path, line=found.line)


def base_tree(
    failure: TestFailure, files: Mapping[str, bytes], start: Mapping[str, bytes]
) -> Mapping[str, bytes] | None:
    """Return the tree in which the unchanged base shows whether it fails in the same way.

    For tests that could not be loaded it also has the tests of `files`. None where it would show nothing:
    there is no base, or what failed is not as it was there.
    """
    loads = failure.kind == "failed"
    concerned = {failure.path, failure.test.partition("::")[0] if loads else failure.path}
    changed = any(path in files and is_changed(path, start, files) for path in concerned if path)
    if not start or changed or failure.kind == "not_verified":
        return None
    if loads:
        return start
    tests = {path: files[path] for path in files if serves_tests(path) and is_changed(path, start, files)}
    return ChangedTree(start, tests) if failure.path else None


def _text(output: bytes) -> str:
    return output[-_MAX_BYTES:].decode("utf-8", "replace")
