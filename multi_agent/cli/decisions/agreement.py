"""Whether a person decides about what they saw."""

from __future__ import annotations

from collections.abc import Callable

from contracts.base.errors import InvalidInput
from contracts.base.printing import can_ask, confirm
from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.waiting import Pending


def agreed(shown: ShownActions, pending: Pending, show: Callable[[], None], verb: str, command: str) -> bool:
    """Whether the person has seen exactly this, or says yes to it now.

    verb: what is done to it. command: does it without asking. Raises InvalidInput where nobody can be asked.
    """
    last = shown.last(pending)
    if last == pending.action_hash:
        return True
    show()
    task_id = pending.task_id
    why = f"task {task_id} was not shown to you yet" if last is None else f"task {task_id} has changed"
    if not can_ask():
        raise InvalidInput(f"{why}; to {verb} exactly this: {command}")
    return confirm(f"{why}; {verb} exactly this?")
