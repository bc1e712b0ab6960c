"""How a workflow is shown while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from multi_agent.cli.workflows.journal_text import entry_line

if TYPE_CHECKING:
    from multi_agent.application.follow import Progress
    from orchestrator.client.views import WorkflowView
    from orchestrator.core.state import TaskState

_MARKS: Mapping[str, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "waiting_approval": ("?", "bold yellow"),
    "ready": ("·", "white"),
    "dispatched": ("▶", "bold cyan"),
    "succeeded": ("✔", "green"),
    "failed": ("✘", "bold red"),
    "blocked": ("-", "red"),
    "cancelled": ("-", "yellow"),
    "dead_lettered": ("✘", "bold red"),
}
_WORDS: Mapping[str, str] = {
    "waiting_approval": "needs approval",
    "ready": "queued",
    "dispatched": "running",
    "succeeded": "done",
    "dead_lettered": "dead-lettered",
}


def task_word(task: TaskState) -> str:
    """A task's state in words; a test task says what its tests said."""
    if task.status.value == "succeeded" and task.verdict == "failed":
        return "tests failed"
    return _WORDS.get(task.status.value, task.status.value)


def task_detail(task: TaskState) -> str:
    """The one thing worth knowing about a task now."""
    if task.tests is not None:
        total = task.tests.passed + task.tests.failed
        cover = (
            "" if task.tests.coverage_percent is None else f", {task.tests.coverage_percent:.0f} % covered"
        )
        return f"{task.tests.passed} of {total} tests passed{cover}"
    if task.error is not None and task.status.value != "succeeded":
        return task.error.message.splitlines()[0][:100]
    return task.summary.splitlines()[0][:100] if task.summary else ""


def _in_order(view: WorkflowView) -> list[TaskState]:
    """Plan order, with the tasks of a debug cycle right behind the test that caused it."""
    place = {task.task_id: number for number, task in enumerate(view.tasks)}

    def key(task: TaskState) -> tuple[int, int]:
        origin = task.task_id.rpartition(".")[0] if task.cycle else task.task_id
        return place.get(origin, place[task.task_id]), place[task.task_id]

    return sorted(view.tasks, key=key)


def task_table(view: WorkflowView) -> Table:
    """All tasks of a workflow."""
    table = Table(box=None, padding=(0, 1), header_style="dim", expand=True)
    for name in ("", "task", "agent", "state", "try", "time"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="ellipsis", no_wrap=True, ratio=1)
    for task in _in_order(view):
        mark, style = _MARKS[task.status.value]
        if task.verdict == "failed" and task.status.value == "succeeded":
            mark, style = "✘", "yellow"
        seconds = f"{task.seconds:.1f}s" if task.seconds else ""
        attempt = str(task.attempt) if task.attempt else ""
        table.add_row(
            Text(mark, style),
            task.task_id,
            task.item.agent_role,
            Text(task_word(task), style),
            attempt,
            seconds,
            Text(task_detail(task) or task.item.title, "default" if task.attempt else "dim"),
        )
    return table


class Screen:
    """Shows a run as it goes: a live table on a terminal, plain lines elsewhere, nothing when `quiet`."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._live: Live | None = None

    @property
    def live(self) -> bool:
        """Whether the table is drawn in place."""
        return self._console.is_terminal and not self._quiet

    def say(self, text: str) -> None:
        """Print a line about what goes on."""
        if not self._quiet:
            self._console.print(Text(text, "dim" if self._console.is_terminal else ""), soft_wrap=True)

    def show(self, progress: Progress) -> None:
        """Show the newest state, and what has happened since the one before."""
        if self._quiet:
            return
        view = progress.view
        if not self.live:
            for entry in progress.entries:
                self._console.print(entry_line(entry, view.header.created_at), markup=False, soft_wrap=True)
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(Group(task_table(view)), refresh=True)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None
