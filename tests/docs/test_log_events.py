"""docs/log_events.md lists what is logged, and nothing else is."""

from __future__ import annotations

import ast

from multi_agent.telemetry.log_events import LOG_EVENTS
from tests.docs.log_events_page import LOGGERS, PAGE, log_calls, page
from tests.project.documented import ROOT
from tests.project.test_house import PACKAGES


def test_the_page_is_what_is_logged() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs.log_events_page --write"


def test_every_event_has_a_name_that_is_listed() -> None:
    assert [call.place for call in log_calls() if call.name not in LOG_EVENTS] == []
    assert set(LOG_EVENTS) - {call.name for call in log_calls()} == {"log_lines_lost"}


def test_every_logger_has_a_name_by_which_its_events_are_found() -> None:
    named = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text("utf-8")
            if "get_logger" in source:
                named |= {one.id for node in ast.walk(ast.parse(source)) for one in _loggers(node)}
    assert named == LOGGERS


def _loggers(node: ast.AST) -> list[ast.Name]:
    if isinstance(node, ast.Assign) and "get_logger" in ast.unparse(node.value):
        return [one for one in node.targets if isinstance(one, ast.Name)]
    return []
