"""How a workflow is shown while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from multi_agent.cli.tables import Cell, Column, Terminal
from multi_agent.cli.workflows.journal_text import entry_line

if TYPE_CHECKING:
    from multi_agent.application.follow import Progress
    from orchestrator.client.views import WorkflowView
    from orchestrator.core.state import TaskState

_MARKS: Mapping[str, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "waiting_approval": ("?", "bold yellow"),
    "waiting_answer": ("?", "bold yellow"),
    "waiting_budget": ("?", "bold yellow"),
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
    "waiting_answer": "asks you",
    "waiting_budget": "needs budget",
    "ready": "queued",
    "succeeded": "done",
    "dead_lettered": "dead-lettered",
}


def task_word(task: TaskState) -> str:
    """A task's state in words; a test or review says what it found."""
    if task.status.value == "succeeded" and task.verdict == "failed":
        return "not approved" if task.review is not None else "tests failed"
    return _WORDS.get(task.status.value, task.status.value)


def task_detail(task: TaskState) -> str:
    """The one thing worth knowing about a task now."""
    if task.tests is not None:
        total = task.tests.passed + task.tests.failed
        cover = (
            "" if task.tests.coverage_percent is None else f", {task.tests.coverage_percent:.0f} % covered"
        )
        failure = f"; {task.tests.failure.sentence}" if task.tests.failure else ""
        return f"{task.tests.passed} of {total} tests passed{cover}{failure}"
    if task.question is not None:
        return _first_line(task.question.text)
    if task.error is not None and task.status.value != "succeeded":
        return _first_line(task.error.message)
    return _first_line(task.summary)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:100]


def _in_order(view: WorkflowView) -> list[TaskState]:
    """Plan order, with the tasks of a debug cycle right behind the test that caused it."""
    place = {task.task_id: number for number, task in enumerate(view.tasks)}

    def key(task: TaskState) -> tuple[int, int]:
        origin = task.task_id.rpartition(".")[0] if task.cycle else task.task_id
        return place.get(origin, place[task.task_id]), place[task.task_id]

    return sorted(view.tasks, key=key)


TASK_COLUMNS = (
    *(Column(name) for name in ("", "task", "agent", "state", "try", "time")),
    Column("what", stretches=True),
)


def task_rows(view: WorkflowView) -> Iterator[list[Cell]]:
    """All tasks of a workflow, one a row of TASK_COLUMNS."""
    for task in _in_order(view):
        mark, style = _MARKS[task.status.value]
        if task.verdict == "failed" and task.status.value == "succeeded":
            mark, style = "✘", "yellow"
        seconds = f"{task.seconds:.1f}s" if task.seconds else ""
        attempt = str(task.attempt) if task.attempt else ""
        yield [
            Cell(mark, style),
            Cell(task.task_id),
            Cell(task.item.agent_role),
            Cell(task_word(task), style),
            Cell(attempt),
            Cell(seconds),
            Cell(task_detail(task) or task.item.title, "default" if task.attempt else "dim"),
        ]


class Screen:
    """Shows a run as it goes: a live table on a terminal, plain lines elsewhere."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._view: WorkflowView | None = None
        self._note: Cell | None = None

    @property
    def live(self) -> bool:
        """Whether the table is drawn in place."""
        return self._terminal.is_terminal

    def say(self, text: str) -> None:
        """Print a line about what goes on."""
        self._terminal.print_line(text, "dim")

    def show(self, progress: Progress) -> None:
        """Show the newest state, and what has happened since the one before."""
        view = progress.view
        if not self.live:
            for entry in progress.entries:
                self._terminal.print_line(entry_line(entry, view.header.created_at))
            return
        self._view = view
        self._draw()

    def wait_for(self, what: str) -> None:
        """Show what everything waits for, below the table where there is one, until `go_on`."""
        self._note = Cell(what, "bold yellow")
        if self.live and self._view is not None:
            self._draw()
        else:
            self.say(what)

    def go_on(self, text: str) -> None:
        """Say that nothing is waited for any more."""
        self._note = None
        self.say(text)
        self._draw()

    def _draw(self) -> None:
        if self.live and self._view is not None:
            self._terminal.draw_table(TASK_COLUMNS, task_rows(self._view), self._note)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._terminal.close()
