"""Journal entries in words, as `multi-agent events` and `run` print them."""

from __future__ import annotations

import pytest

from contracts.messages.journal_rows import decode_journal
from multi_agent.cli.workflows.journal_text import entry_text
from orchestrator.client.views import JournalEntry


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (
            "task.to_be_fixed",
            {"cycle": 1, "added": ["fix-1", "retest-1"]},
            "t: to be fixed (cycle 1, added fix-1, retest-1)",
        ),
        ("task.dispatched", {"attempt": 2, "dispatch_id": "d"}, "t: dispatched (attempt 2)"),
        ("task.teleported", {"to": ["mars", "moon"]}, "t: teleported (to mars, moon)"),
    ],
)
def test_an_entry_in_words(kind: str, data: dict[str, object], text: str) -> None:
    event = decode_journal(kind, "t", data)
    assert entry_text(JournalEntry(1, "w", "t", 0.0, event, kind, data)) == text
