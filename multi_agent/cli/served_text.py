"""Whether anybody works on what is open, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base.processes.command_lines import command_line

if TYPE_CHECKING:
    from orchestrator.core.state import Header


def status_word(header: Header, *, served: bool) -> str:
    """A workflow's status; one that nobody works on is not called running."""
    return header.status.value if served or header.status.terminal else "open, not served"


def unserved_text() -> str:
    """Say that nothing goes on, and what makes it go on."""
    return f"nothing serves this folder, so nothing goes on; {command_line('up')}"
