"""docs/log_events.md, from the code: `python -m tests.docs.log_events_page --write`."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multi_agent.telemetry.log_events import LOG_EVENTS
from tests.project.documented import ROOT
from tests.project.test_house import PACKAGES

PAGE = ROOT / "docs" / "log_events.md"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
LOGGERS = {"log", "_log", "logger"}
HEAD = """# Events of logs

What processes log, one JSON object a line (sentences on a terminal). Names and fields stay the same from
release to release; new ones are added. Each line also has `timestamp` (UTC), `level` and `process`; what is
about one execution has `workflow_id`, `task_id`, `attempt` and `dispatch_id`, what names a workflow also the
`trace_id` of its [trace](tracing.md), what a slot process logs its `worker_id`; an `exception` has the
traceback. `multi-agent logs WORKFLOW` shows those that name a workflow.

| event | level | fields | what has happened |
|---|---|---|---|
"""


@dataclass(frozen=True)
class LogCall:
    """A place where something is logged."""

    place: str
    name: str | None
    """None for a name that is not written there."""
    level: str
    fields: tuple[str, ...]


def log_calls() -> Iterator[LogCall]:
    """Every place of the packages where something is logged."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_text("utf-8")
            if "get_logger" in source:
                for node in ast.walk(ast.parse(source)):
                    if (call := _log_call(node, path)) is not None:
                        yield call


def _log_call(node: ast.AST, path: Path) -> LogCall | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    logger, level = node.func.value, LEVELS.get(node.func.attr)
    if level is None or not isinstance(logger, ast.Name) or logger.id not in LOGGERS:
        return None
    first = node.args[0] if node.args else None
    name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
    fields = tuple(word.arg for word in node.keywords if word.arg and word.arg != "exc_info")
    return LogCall(f"{path.relative_to(ROOT)}:{node.lineno}", name, level, fields)


def page() -> str:
    """The whole page."""
    levels, fields = defaultdict[str, set[str]](set), defaultdict[str, dict[str, None]](dict)
    for call in log_calls():
        levels[call.name or ""].add(call.level)
        fields[call.name or ""].update(dict.fromkeys(call.fields))
    # It stands for lines that were lost, and is written without a logger.
    levels["log_lines_lost"], fields["log_lines_lost"] = {"warning"}, {"lines": None}
    return HEAD + "".join(
        f"| `{name}` | {', '.join(sorted(levels[name]))} | "
        f"{', '.join(f'`{one}`' for one in fields[name])} | {what} |\n"
        for name, what in sorted(LOG_EVENTS.items())
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), "utf-8")
    else:
        sys.exit(page() != PAGE.read_text("utf-8"))
