"""`multi-agent answer`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import click

from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.decisions import answer as answer_question
from multi_agent.application.decisions import pending_question
from multi_agent.application.waiting import PendingQuestion
from multi_agent.cli import EXIT_DONE, EXIT_WAITING
from multi_agent.cli.completing import complete_workflow
from multi_agent.cli.decisions.agreement import agreed
from multi_agent.cli.decisions.question_text import answer_command, print_question
from multi_agent.cli.options import data_dir_option, settings_of
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client


@dataclass(frozen=True, slots=True)
class _Words:
    """What the words of the command are."""

    workflow: str | None
    task: str | None
    text: str | None

    @classmethod
    def of(cls, words: tuple[str, ...], *, show: bool) -> _Words:
        most = 2 if show else 3
        if len(words) > most or not (words or show):
            what = "[WORKFLOW] [TASK]" if show else "[WORKFLOW] [TASK] TEXT"
            raise click.UsageError(f"{len(words)} words: give {what}; quote an answer of several words")
        text = None if show else words[-1]
        workflow, task = (*(words if show else words[:-1]), None, None)[:2]
        return cls(workflow, task, text)


@click.command()
@click.argument("words", nargs=-1, metavar="[WORKFLOW] [TASK] TEXT", shell_complete=complete_workflow)
@click.option("--show", is_flag=True, help="Show what is asked, and do nothing; without TEXT.")
@click.option("--hash", "expected", help="Answer only what hashes to this (as --show prints it).")
@data_dir_option
def answer(words: tuple[str, ...], show: bool, expected: str | None, data_dir: Path | None) -> int:
    """Answer what TASK of WORKFLOW asks, as you last saw it; the only one that asks needs no name.

    TEXT is the answer, or the number of one of its choices. Without --hash it answers what `answer --show`,
    `status`, `watch` or `run` last showed you. Where that was nothing, or something else, it shows the
    question and asks; where nobody can be asked it exits 2.
    """
    return asyncio.run(_Answering(data_dir).run(_Words.of(words, show=show), expected))


class _Answering:
    def __init__(self, data_dir: Path | None) -> None:
        self._settings = settings_of(data_dir=data_dir)
        self._shown = ShownActions(self._settings.data)

    async def run(self, words: _Words, expected: str | None) -> int:
        """Show or answer. Returns the exit code."""
        async with open_client(self._settings) as client:
            asked = await pending_question(client, words.workflow, words.task)
            if words.text is None:
                print_question(asked)
                self._shown.note([asked])
                return EXIT_DONE
            if expected is None and not self._agreed(asked, words.text):
                return EXIT_WAITING
            result = await answer_question(
                client,
                asked,
                words.text,
                caller(),
                expected_hash=expected or asked.action_hash,
                may_be_name=expected is not None,
            )
        print_result(result, f"{asked.task_id} of {asked.workflow_id} is answered")
        return EXIT_DONE

    def _agreed(self, asked: PendingQuestion, text: str) -> bool:
        command = answer_command(asked, text)
        return agreed(self._shown, asked, lambda: print_question(asked), "answer", command)
