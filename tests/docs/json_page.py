"""Writes docs/json.md from what the commands print: `python -m tests.docs.json_page --write`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Final

import click
from pydantic import BaseModel

from artifacts.delivery.differences import ChangedFile
from artifacts.delivery.working_tree import Applied
from artifacts.store.history import CommitInfo
from contracts.documents.baseline import Baseline
from contracts.documents.failure import TestFailure
from contracts.documents.reports import ReviewFinding
from contracts.messages.payloads import ReviewSummary
from contracts.ports.code_index import RepositoryMap
from multi_agent.application.delivery.pull_requests import Proposed
from multi_agent.application.doctor import Finding
from multi_agent.application.ends.results import OfferedWork
from multi_agent.application.ends.verdicts import Failure, FindingFate
from multi_agent.application.environments import BuiltEnvironment
from multi_agent.application.spending.budgets import BudgetState
from multi_agent.application.spending.estimates import Estimate, ModelEstimate
from multi_agent.cli import cli
from multi_agent.gateway.records.figures import ErrorClass, ModelFigures
from multi_agent.gateway.records.record import RequestRecord
from multi_agent.rollout.decision import Check, GateDecision
from multi_agent.rollout.figures import ArmFigures
from multi_agent.telemetry.tracing.spans import Span
from multi_agent.telemetry.tracing.trace import Trace
from orchestrator.core.audit.chain import BadRow
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from sandbox_runner.probe_report import BackendReport
from tests.release.faces import json_keys
from tests.release.history import write_history

PAGE: Final = Path(__file__).parents[2] / "docs" / "json.md"
HEAD: Final = """# JSON for programs

Every command with `--json` prints JSON on stdout, and what it says to people on stderr. Keys are added, and
none is removed or gets another meaning before a new major version: read those you need and leave the rest.
Times are seconds since 1970; a commit is a full hash. Keys that are printed and not listed here (`shard`,
`stream`, `streams`) are the program's own and may go. `a[].b` is the key `b` of each object in the list `a`.

"""
OWN: Final = ("shard", "stream", "streams")
"""Keys of the program's insides, which older versions printed already."""


def _of(kind: type, *before: str) -> list[str]:
    return [*before, *(f"[].{name}" for name in _names(kind))]


def _names(kind: type) -> list[str]:
    if issubclass(kind, BaseModel):
        return list(kind.model_fields)
    assert is_dataclass(kind)
    return [one.name for one in fields(kind)]


REQUEST: Final = (*_names(RequestRecord), "outcome", "tokens_per_second")
AUDIT_ROW: Final = ("at", "chain", "number", "kind", "who", "via", "workflow_id", "task_id", "facts")
ABOUT: Final = ("workflow_id", "base", "commit", "completed")
# What a command prints that needs more than a history to print it.
STATIC: Final[Mapping[str, Iterable[str]]] = {
    "submit": ["workflow_id"],
    "map": ["commit", *_names(RepositoryMap)],
    "baseline": ["commit", *_names(Baseline), "share", "obstacle", "summary"],
    "plan": ["path", "plan"],
    "artifacts": _of(CommitInfo),
    "diff": [*ABOUT, "files", *(f"files[].{name}" for name in _names(ChangedFile))],
    "pr": [*ABOUT, *_names(Proposed)],
    "apply": [*ABOUT, "repository", "branch", *_names(Applied)],
    "environment build": ["hash", "name"],
    "environment list": _of(BuiltEnvironment),
    "environment remove": _names(BuiltEnvironment),
    "doctor": _of(Finding),
    "trace": ["conventions", *_names(Trace), *(f"spans[].{name}" for name in _names(Span))],
    "verify": ["checked", "violations", "violations[].promise", "violations[].message"],
    "sandbox test": _of(BackendReport),
    "audit list": [f"[].{name}" for name in (*AUDIT_ROW, "hash")],
    "audit verify": [
        *("rows", "anchors", "unanchored", "heads", "bad", "open_effects"),
        *(f"heads[].{name}" for name in ("chain", "number", "hash")),
        *(f"bad[].{name}" for name in _names(BadRow)),
        *(f"open_effects[].{name}" for name in ("number", "effect", "effect_id")),
    ],
    "dead-letters show": _names(StoredDeadLetter),
    "approvals list": [
        f"[].{name}" for name in ("workflow_id", "task_id", "action_hash", "rule", "risk", "action")
    ],
    "approvals policy": ["file", "policy", "actions", "asked_per_hundred"],
    "budget show": _names(BudgetState),
    "budget estimate": [
        *(name for name in _names(Estimate) if name != "models"),
        *(f"models[].{name}" for name in _names(ModelEstimate)),
    ],
    "debug requests": [f"[].{name}" for name in REQUEST],
    "debug slow": [
        *(f"models[].{name}" for name in _names(ModelFigures)),
        *(f"slowest[].{name}" for name in REQUEST),
    ],
    "debug errors": _of(ErrorClass),
    "debug session": [f"[].{name}" for name in REQUEST],
    "gateway-key": [
        *(f"[].{name}" for name in ("name", "models", "expires", "open_requests", "open_usd")),
        *(f"[].limits[].{name}" for name in ("name", "most", "spent", "left")),
    ],
    "logs": ["source", "timestamp", "level", "event"],
    "rollout status": [
        *("rollout", "state", "stage", "stages", "percent", "shadow"),
        *("started_at", "stage_since", "ended_at"),
        *(f"{arm}.{name}" for arm in ("legacy", "multi_agent") for name in _names(ArmFigures)),
        *(f"decision.{name}" for name in _names(GateDecision)),
        *(f"decision.{kind}[].{name}" for kind in ("checks", "alarms") for name in _names(Check)),
    ],
}
# What is empty in the history that was written for this.
NESTED: Final[Mapping[str, Mapping[str, type]]] = {
    "run": {"failures[]": Failure, "findings[]": FindingFate, "unverified": OfferedWork},
    "status WORKFLOW": {
        "tasks[].review": ReviewSummary,
        "tasks[].review.findings[]": ReviewFinding,
        "tasks[].tests.failure": TestFailure,
    },
}
WORDS: Final[Mapping[str, str]] = {
    "run": "One object at the end, the summary; what goes on until then is said on stderr.",
    "plan": "One object: the file, and the plan as the schema `todo_list` has it; with `--check` too.",
    "map": "One object: the commit that was read, all its paths, the likeliest first, and the map as text.",
    "baseline": "One object: the commit, and what its own tests said of it; `share` is the part that ran, "
    "`obstacle` why they say nothing, `summary` all of it in words.",
    "submit": "One object.",
    "status": "One object: the newest workflows, who serves them, and what waits for a person.",
    "status WORKFLOW": "One object: the workflow with its tasks.",
    "watch": "One object a line for each change, each as `status WORKFLOW` prints it.",
    "events": "One object a line, an entry of the journal each; `data` depends on `kind`.",
    "artifacts": "A list, one object for each accepted outcome, oldest first.",
    "diff": "One object: the commit, its base, whether the workflow completed, and each file that "
    "differs with the lines that were added and deleted, which are null in a binary file.",
    "apply": "One object: the repository, and the files that were written and deleted; with `--branch` its "
    "name instead.",
    "pr": "One object: the request's address and branch; `opened` is false where one was updated.",
    "logs": "One object a line; further keys depend on `event`. A line that was no JSON is the event.",
    "why": "One object. `code` is for programs, `do` is a command that does something about it.",
    "trace": "One object: the spans, the root first. `end` is null while it goes on; `problems` says what is "
    "missing. Attributes are named as [traces](tracing.md) has them.",
    "verify": "One object.",
    "approvals list": "A list, one object for each. `action` is what is hashed.",
    "approvals policy": "One object; `policy` is null without rules. `asked_per_hundred` is by policy.",
    "budget show": "One object. Without a budget it has `workflow_id` alone; null is no limit, or no need.",
    "budget estimate": "One object; null where there is nothing to go by, and for a price that is not known.",
    "doctor": "A list, one object for each thing that was looked for.",
    "environment build": "One object; both are empty where nothing is needed.",
    "environment list": "A list, one object for each, the last used first.",
    "environment remove": "One object, what was removed.",
    "dead-letters list": "A list, one object for each.",
    "audit list": "A list, one object for each row, oldest first; `facts` depend on `kind`.",
    "audit verify": "One object; `bad` has the first bad row of each chain that is not whole, `open_effects` "
    "what was intended and has no end.",
    "dead-letters show": "One object; `raw` is in base64.",
    "debug requests": "A list, one object for each, oldest first. `ms` and `first_ms` are milliseconds.",
    "debug slow": "One object: the figures of each model that answered, and the slowest requests.",
    "debug errors": "A list, one object for each kind, status and model, the most frequent first.",
    "debug session": "A list, one object for each request, oldest first.",
    "gateway-key": "With `--list`: a list, one object for each key. Open requests are under way, or were "
    "when their gateway died; they are charged in full.",
    "rollout status": "One object: the stage, both arms in it, and what follows. A check that has not passed "
    "keeps its gate closed, an alarm that has not passed rolls back.",
    "sandbox test": "A list, one object for each backend.",
    "chaos": "One object, the certificate as in `report.json`.",
}


def page() -> str:
    """The page as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write_history(f"sqlite:///{folder}/state.db"))
        printed: dict[str, Iterable[str]] = {**json_keys(Path(folder)), **STATIC}
    parts = [HEAD]
    for name, words in WORDS.items():
        known = {_shown(key, name) for key in printed.get(name, ()) if not _is_own(key)}
        nested = NESTED.get(name, {}).items()
        keys = sorted(known | {f"{before}.{one}" for before, kind in nested for one in _names(kind)})
        listed = ", ".join(f"`{key}`" for key in keys)
        parts.append(f"## {name}\n\n{words}" + (f"\n\n{listed}" if listed else "") + "\n\n")
    return "".join(parts).rstrip("\n") + "\n"


def _shown(key: str, name: str) -> str:
    """The key within one object that the command prints, several of which were read for some."""
    of_one = name in {"status WORKFLOW", "events"}
    return (key.removeprefix("[]") if of_one else key).removeprefix(".")


def _is_own(key: str) -> bool:
    return key.rpartition(".")[2] in OWN or ".data." in key


def commands_with_json(group: click.Group = cli, *before: str) -> list[str]:
    """All commands that take --json."""
    context = click.Context(group)
    found: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += commands_with_json(command, *before, name)
        elif command is not None and any("--json" in one.opts for one in command.params):
            found.append(" ".join((*before, name)))
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), "utf-8")
    else:
        sys.exit(page() != PAGE.read_text("utf-8"))
