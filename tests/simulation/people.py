"""People as models: submissions, wishes with right and wrong hashes."""

from __future__ import annotations

from functools import lru_cache
from itertools import count, islice

from contracts.messages.budget import SpendingLimits
from orchestrator.core.commands import (
    AnswerBody,
    ApproveBody,
    BudgetBody,
    CancelBody,
    DiscardDeadLetterBody,
    RejectBody,
    RetryBody,
    RetryDeadLetterBody,
    body_text,
)
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.core.suspension import question_hash
from orchestrator.scheduling.batch import Command
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from tests.simulation.choices import Choices
from tests.simulation.model_store import OTHER, ModelStore
from tests.simulation.plans import PLANS, submission


@lru_cache
def _workflow_id(number: int) -> str:
    """Names of shard 0 only: one stream of outcomes is enough, and 64 would cost most of the time."""
    names = (name for n in count() if shard_of(name := f"wf-{n}") == 0)
    return next(islice(names, number, None))


class People:
    def __init__(self, store: ModelStore, choices: Choices) -> None:
        self._store = store
        self._choices = choices
        self._sent = 0
        self._letters_seen = 0
        self._given_up: set[str] = set()
        """Workflows that failed, and were retried in the end or not."""

    def submit(self) -> None:
        plan = submission(self._choices.below(PLANS))
        self._send("submit", _workflow_id(self._sent), plan)

    def act(self) -> None:
        """Something a person may want, sensible or not."""
        names = list(self._store.headers)
        kind = self._choices.below(10)
        if not names or (kind == 0 and len(names) == 1):
            self.submit()
            return
        for asking in names:
            self._reply(asking)
        name = names[self._choices.below(len(names))]
        if kind == 1:
            self._send("cancel", name, body_text(CancelBody(person="p")))
        elif kind in {2, 3}:
            self._send("retry", name, body_text(RetryBody(person="p", fresh=bool(self._choices.below(2)))))
        elif kind == 4:
            self._judge(name, reject=True)
        elif kind in {5, 6, 7}:
            self._judge(name, wrong=kind == 5)
        else:
            self._work_off(retry=kind == 8)

    def _work_off(self, *, retry: bool) -> None:
        """Retry or discard a dead letter, which may have been worked off already."""
        letters = [letter for letter in self._store.letters.values() if letter.task_id]
        if letters:
            self._answer(letters[self._choices.below(len(letters))], retry=retry)

    def _answer(self, letter: StoredDeadLetter, *, retry: bool) -> None:
        kind = RetryDeadLetterBody if retry else DiscardDeadLetterBody
        body = kind(dead_letter_id=letter.dead_letter_id, person="p")
        self._send(body.kind, letter.shard_key, body_text(body))

    def _judge(self, name: str, *, wrong: bool = False, reject: bool = False) -> None:
        for task in self._asking(name):
            if reject:
                body = body_text(RejectBody(task_id=task.task_id, person="p"))
                self._send("reject", name, body)
                continue
            workflow = Workflow.load(self._store.headers[name], self._store.tasks[name].values())
            wanted = "0" * 64 if wrong else self._store.allowed.approve(workflow, task)
            body = body_text(ApproveBody(task_id=task.task_id, action_hash=wanted, person="p"))
            self._send("approve", name, body)

    def _reply(self, name: str) -> None:
        """Answer what is asked: once something else, then twice."""
        for task in self._store.tasks[name].values():
            if task.status is TaskStatus.ANSWER:
                asked = question_hash(name, task)
                for wanted, text in (("0" * 64, OTHER), (asked, "this"), (asked, "that")):
                    body = AnswerBody(task_id=task.task_id, question_hash=wanted, text=text, person="p")
                    self._send("answer", name, body_text(body))

    def _pay(self, name: str) -> None:
        """Let a workflow spend more that waits for it."""
        budget, tasks = self._store.headers[name].budget, self._store.tasks[name].values()
        if budget is not None and any(task.status is TaskStatus.BUDGET for task in tasks):
            most = (budget.workflow.micro_usd or 0) + 30
            body = BudgetBody(limits=SpendingLimits(micro_usd=most), person="p")
            self._send("budget", name, body_text(body))

    def _asking(self, name: str) -> list[TaskState]:
        return [task for task in self._store.tasks[name].values() if task.status is TaskStatus.APPROVAL]

    def _send(self, kind: str, name: str, body: str) -> None:
        self._sent += 1
        command = Command(f"c{self._sent}", kind, name, body, known=False)
        self._store.waiting[command.command_id] = command

    def settle(self) -> bool:
        """Approve what waits, retry what failed, work off dead letters. True while a wish is under way."""
        if self._store.waiting:
            return True
        for name, header in self._store.headers.items():
            self._judge(name)
            self._reply(name)
            self._pay(name)
            if header.status is WorkflowStatus.FAILED and name not in self._given_up:
                self._given_up.add(name)
                if self._choices.below(2):
                    self._send("retry", name, body_text(RetryBody(person="p")))
        for letter in list(self._store.letters.values())[self._letters_seen :]:
            self._letters_seen += 1
            if letter.task_id is None:
                continue
            answers = self._choices.below(4)
            if answers & 1 and letter.dead_letter_id == 1:
                self._answer(letter, retry=True)
            if answers & 2:
                self._answer(letter, retry=False)
        return bool(self._store.waiting)

    def statuses(self, name: str) -> list[tuple[str, str]]:
        return [(task.task_id, task.status.value) for task in self._store.tasks[name].values()]
